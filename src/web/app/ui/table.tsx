/*
 * Tables with a caption and true headers. On a narrow screen each row becomes a card; the roles are written out because browsers drop
 * them when CSS changes how a table is laid out.
 */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icons";

export interface Column<T> {
	label: string;
	cell: (row: T) => ComponentChildren;
	/* The name by which the server, or the page, sorts. */
	sort?: string;
	num?: boolean;
	/* On a narrow screen without its label: buttons, and the first column. */
	bare?: boolean;
}

export interface Sort {
	by: string;
	down: boolean;
}

export function Table<T>({ caption, hideCaption, columns, rows, rowKey, sort, onSort, foot }: {
	caption: string; hideCaption?: boolean; columns: Column<T>[]; rows: T[]; rowKey: (row: T) => string | number;
	sort?: Sort; onSort?: (sort: Sort) => void; foot?: ComponentChildren;
}) {
	const id = useId();
	return (
		<div class="card flush">
			<div class="table-box" tabIndex={0} role="region" aria-labelledby={`${id}-caption`}>
				<table class="cards" role="table">
					<caption id={`${id}-caption`}><span class={hideCaption ? "unseen" : undefined}>{caption}</span></caption>
					<thead role="rowgroup">
						<tr role="row">
							{columns.map((column) => {
								const active = sort && column.sort === sort.by;
								return (
									<th role="columnheader" scope="col" key={column.label} class={column.num ? "num" : undefined}
										aria-sort={active ? (sort.down ? "descending" : "ascending") : undefined}>
										{column.sort && onSort ? (
											<button type="button" class="sort" onClick={() => onSort({ by: column.sort!, down: active ? !sort.down : false })}>
												{column.label}
												{active && <Icon name={sort.down ? "down" : "up"} />}
											</button>
										) : column.label === "" ? <span class="unseen">Actions</span> : column.label}
									</th>
								);
							})}
						</tr>
					</thead>
					<tbody role="rowgroup">
						{rows.map((row) => (
							<tr role="row" key={rowKey(row)}>
								{columns.map((column, i) => i === 0
									? <th role="rowheader" scope="row" key={column.label}>{column.cell(row)}</th>
									: <td role="cell" key={column.label} data-label={column.label} class={[column.num ? "num" : "", column.bare ? "bare" : ""].join(" ").trim() || undefined}>{column.cell(row)}</td>)}
							</tr>
						))}
					</tbody>
				</table>
			</div>
			{foot}
		</div>
	);
}

/* Pages of a list that the server cuts; one row more than shown was asked for, so it is known whether there are more. */
export function Pager({ offset, size, shown, more, onOffset, noun }: {
	offset: number; size: number; shown: number; more: boolean; onOffset: (offset: number) => void; noun: string;
}) {
	if (offset === 0 && !more) return <div class="pager soft small"><span>{shown} {noun}{shown === 1 ? "" : "s"}</span></div>;
	return (
		<nav class="pager" aria-label={`Pages of ${noun}s`}>
			<span class="soft small" role="status">{shown === 0 ? "Nothing here" : `${offset + 1} to ${offset + shown}${more ? "" : ", the last"}`}</span>
			<div class="row">
				<button type="button" class="button mini" disabled={offset === 0} onClick={() => onOffset(Math.max(0, offset - size))}>Previous</button>
				<button type="button" class="button mini" disabled={!more} onClick={() => onOffset(offset + size)}>Next</button>
			</div>
		</nav>
	);
}
