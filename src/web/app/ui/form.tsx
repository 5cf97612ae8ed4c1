import { cloneElement, type ComponentChildren, type VNode } from "preact";
import { useId } from "preact/hooks";

/* A label, its control, what helps, and what is wrong: tied together for screen readers. */
export function Field({ label, help, error, hideLabel, class: className, children }: {
	label: ComponentChildren; help?: ComponentChildren; error?: string; hideLabel?: boolean; class?: string; children: VNode<any>;
}) {
	const id = useId();
	const described = [help ? `${id}-help` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
	const control = cloneElement(children, {
		id, "aria-describedby": described || undefined, "aria-invalid": error ? "true" : undefined,
	});
	return (
		<div class={`field ${className ?? ""}`}>
			<label for={id} class={hideLabel ? "unseen" : undefined}>{label}</label>
			{control}
			{help && <div class="help" id={`${id}-help`}>{help}</div>}
			<div class="error" id={`${id}-error`} role="alert" hidden={!error}>{error}</div>
		</div>
	);
}

export function Check({ label, help, checked, onChange, disabled, name }: {
	label: string; help?: ComponentChildren; checked: boolean; onChange: (on: boolean) => void; disabled?: boolean; name?: string;
}) {
	const id = useId();
	return (
		<div class="check">
			<input type="checkbox" id={id} name={name} checked={checked} disabled={disabled} aria-describedby={help ? `${id}-help` : undefined} onChange={(e) => onChange(e.currentTarget.checked)} />
			<div>
				<label for={id}>{label}</label>
				{help && <div class="help" id={`${id}-help`}>{help}</div>}
			</div>
		</div>
	);
}
