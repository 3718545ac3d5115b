// Fills tables, with text alone: what rooms are called is somebody else's choice.

/** Replaces a table's rows. A cell is text or an element; without rows, a sentence says so. */
export function fill(table, rows, none) {
	const columns = table.tHead.rows[0].cells.length;
	const body = rows.map((cells) => {
		const row = document.createElement('tr');
		row.append(
			...cells.map((cell) => {
				const td = document.createElement('td');
				td.append(cell);
				return td;
			}),
		);
		return row;
	});
	if (body.length === 0) {
		const td = Object.assign(document.createElement('td'), { colSpan: columns, className: 'empty', textContent: none });
		body.push(document.createElement('tr'));
		body[0].append(td);
	}
	table.tBodies[0].replaceChildren(...body);
}
