// Reads Prometheus text, and turns two readings into rates and quantiles.

/** Reading is one answer of /metrics. */
export class Reading {
	#series = new Map(); // name -> [{labels, value}]

	constructor(text, at = Date.now()) {
		this.at = at;
		for (const line of text.split('\n')) {
			const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
			if (found) {
				const [, name, labels = '', value] = found;
				const list = this.#series.get(name) ?? [];
				list.push({ labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1], m[2]])), value: Number(value) });
				this.#series.set(name, list);
			}
		}
	}

	/** The sum of all series of that name; undefined if there is none. */
	total(name) {
		return this.#series.get('roost_' + name)?.reduce((sum, { value }) => sum + value, 0);
	}

	/** The series of that name by one label's value. */
	by(name, label) {
		return new Map((this.#series.get('roost_' + name) ?? []).map(({ labels, value }) => [labels[label], value]));
	}

	/** A histogram as [upper bound in seconds, how many were at most that], bounds rising. */
	buckets(name) {
		return [...this.by(name + '_bucket', 'le')].map(([le, n]) => [le === '+Inf' ? Infinity : Number(le), n]).sort((a, b) => a[0] - b[0]);
	}
}

/** Growth of a counter a second between two readings; undefined if it is not known, as after a new start of the node. */
export function rate(before, now, name) {
	const [a, b] = [before?.total(name), now.total(name)];
	return a === undefined || b === undefined || b < a || now.at <= before.at ? undefined : ((b - a) / (now.at - before.at)) * 1000;
}

/** The q-quantile, in seconds, of what a histogram has counted between two readings; undefined if that was nothing. */
export function quantile(before, now, name, q) {
	const old = new Map(before?.buckets(name));
	const counts = now.buckets(name).map(([le, n]) => [le, n - (old.get(le) ?? 0)]);
	const all = counts.at(-1)?.[1] ?? 0;
	if (all <= 0 || counts.some(([, n]) => n < 0)) {
		return undefined;
	}
	let [low, below] = [0, 0];
	for (const [le, n] of counts) {
		if (n >= q * all) {
			return le === Infinity ? low : low + ((le - low) * (q * all - below)) / Math.max(n - below, 1);
		}
		[low, below] = [le, n];
	}
	return low;
}
