// The largest rooms. The node lists rooms by name and not by size, and has perhaps a million: so they are sampled, one
// page after the other, and the largest of what has been seen are shown.

import { guarded } from './api.js';

const PAGE = 500;
const SHOWN = 12;
/** A page costs the node some time, which grows with the number of its rooms: this many times that long is left free. */
const REST = 30;

export class Rooms {
	#members = new Map(); // seen in this sweep or the one before: name -> {members, sweep}
	#after = '';
	#sweep = 0;
	#notBefore = 0;
	whole = false; // one page holds all rooms

	/** Takes the next page, unless it is too early for one. */
	async sample() {
		const begin = performance.now();
		if (begin < this.#notBefore) {
			return;
		}
		const { rooms, next } = await guarded(`/api/rooms?limit=${PAGE}&after=${encodeURIComponent(this.#after)}`);
		this.#notBefore = performance.now() + (performance.now() - begin) * REST;
		this.whole = next === undefined && this.#after === '';
		for (const { room, members } of rooms) {
			this.#members.set(room, { members, sweep: this.#sweep });
		}
		this.#after = next ?? '';
		if (next === undefined) {
			for (const [name, { sweep }] of this.#members) {
				if (sweep < this.#sweep) {
					this.#members.delete(name); // it has gone
				}
			}
			this.#sweep++;
		}
		this.#forgetSmall();
	}

	/** The largest as [name, members]. */
	get largest() {
		return this.#sorted().slice(0, SHOWN).map(([name, { members }]) => [name, members]);
	}

	#sorted() {
		return [...this.#members].filter(([, { members }]) => members > 0).sort((a, b) => b[1].members - a[1].members || (a[0] < b[0] ? -1 : 1));
	}

	#forgetSmall() {
		if (this.#members.size > 2 * PAGE) {
			this.#members = new Map(this.#sorted().slice(0, PAGE));
		}
	}
}
