import { useSession } from "../session";
import { Head } from "../ui/parts";

export function AccountPage() {
	const { session } = useSession();
	return (
		<div class="stack">
			<Head title="Password" text={session.address} />
		</div>
	);
}
