/* A list within a page, which the server gives in pieces and searches; its state is the page's own, not the address's. */
import { useState } from "preact/hooks";
import { Field } from "./form";
import { Icon } from "./icons";
import { Pager } from "./table";

const SIZE = 50;

export interface Piece {
	search: string;
	offset: number;
	/* For the call: one more than is shown, so it is known whether there are more. */
	query: { search?: string; limit: number; offset?: number };
	deps: [string, number];
	set: (search: string, offset: number) => void;
}

/* before: rows that the server has in front of the list, unless it searches. */
export function usePiece(before = 0): Piece {
	const [{ search, offset }, put] = useState({ search: "", offset: 0 });
	const skip = offset + (search === "" ? before : 0);
	return {
		search, offset, deps: [search, offset],
		query: { search: search || undefined, limit: SIZE + 1, offset: skip || undefined },
		set: (text, at) => put({ search: text, offset: at }),
	};
}

export function shown<T>(rows: T[]): T[] {
	return rows.slice(0, SIZE);
}

/* Nothing is there at all, and nothing was searched for. */
export function isBare(piece: Piece, rows: unknown[]): boolean {
	return rows.length === 0 && piece.offset === 0 && piece.search === "";
}

export function PieceSearch({ piece, label }: { piece: Piece; label: string }) {
	const [text, setText] = useState(piece.search);
	return (
		<form class="filters" role="search" aria-label={label} onSubmit={(e) => {
			e.preventDefault();
			piece.set(text.trim(), 0);
		}}>
			<Field label={label} class="grow"><input type="search" value={text} onInput={(e) => setText(e.currentTarget.value)} /></Field>
			<button class="button" type="submit"><Icon name="search" />Search</button>
		</form>
	);
}

export function PiecePager({ piece, rows, noun }: { piece: Piece; rows: unknown[]; noun: string }) {
	return <Pager noun={noun} offset={piece.offset} size={SIZE} shown={Math.min(rows.length, SIZE)} more={rows.length > SIZE} onOffset={(to) => piece.set(piece.search, to)} />;
}
