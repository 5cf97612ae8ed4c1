import { queue } from "../calls";
import { ago, bytes, time } from "../format";
import { say } from "../ui/toast";
import { Ask, useDialog } from "../ui/dialog";
import { Show, useLoad } from "../ui/load";
import { Empty, Head, Tag, type Tone, Words } from "../ui/parts";
import { Table } from "../ui/table";

const STATES: Record<string, [Tone, string]> = {
	waiting: ["plain", "Waiting"],
	held: ["warn", "Held after a restore"],
	trying: ["good", "Being handed over"],
};

export function QueuePage() {
	const all = useLoad((signal) => queue.list({}, signal), [], 10000);
	const [dialog, open] = useDialog();
	const after = (close: () => void) => (did: boolean) => {
		close();
		if (did) void all.reload();
	};
	const retry = (mail?: number) => queue.retry(mail).then(() => {
		say(mail === undefined ? "Everything is tried again now." : "This mail is tried again now.");
		void all.reload();
	}, (problem) => say(problem.message));
	return (
		<div class="stack">
			<Head title="Queue" text="Mail from phones that waits for the relay, with what the relay said last.">
				<button type="button" class="button" onClick={() => retry()}>Try everything now</button>
			</Head>
			<Show of={all}>
				{(rows) => rows.length === 0
					? <Empty icon="queue" title="Nothing waits"><p>Every mail from a phone has left the house.</p></Empty>
					: (
						<Table caption="Waiting mail" hideCaption rows={rows} rowKey={(row) => `${row.mail} ${row.recipient}`} columns={[
							{ label: "To", cell: (row) => <span class="wrap address"><Words of={row.recipient} /></span> },
							{ label: "From", cell: (row) => <span class="wrap words"><Words of={row.sender || "(a report)"} /></span> },
							{ label: "State", cell: (row) => <Tag tone={STATES[row.state]?.[0]}>{STATES[row.state]?.[1] ?? row.state}</Tag> },
							{ label: "Attempts", num: true, cell: (row) => row.attempts },
							{ label: "Queued", cell: (row) => <><time title={time(row.queued_at)}>{ago(row.queued_at)}</time> <span class="soft small">{bytes(row.bytes)}</span></> },
							{ label: "Next try", cell: (row) => row.next_at ? <time title={time(row.next_at)}>{ago(row.next_at)}</time> : "–" },
							{ label: "Last answer", cell: (row) => <span class="wrap small">{row.answer || "–"}</span> },
							{ label: "", bare: true, cell: (row) => (
								<span class="row">
									<button type="button" class="button mini" aria-label={`Try mail ${row.mail} to ${row.recipient} now`} onClick={() => retry(row.mail)}>Try now</button>
									<button type="button" class="button mini danger" aria-label={`Forget mail ${row.mail} to ${row.recipient}`} onClick={() => open((close) => (
										<Ask title="Forget this mail?" danger doing="Forget it" done="The mail is forgotten." run={() => queue.drop(row.mail, row.recipient)} onClose={after(close)}>
											<p>{row.recipient} will not get it, and {row.sender || "its sender"} gets no report. This cannot be taken back.</p>
										</Ask>
									))}>Forget</button>
								</span>
							) },
						]} />
					)}
			</Show>
			{dialog}
		</div>
	);
}
