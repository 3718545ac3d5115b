// Where the number of connections is going: a straight line through the last minutes, held against what the node can
// take. It knows nothing of tomorrow's rush hour and says no more than that line does.

import * as format from './format.js';

const WINDOW = 5 * 60_000; // of the line, in ms
const ENOUGH = 60_000; // of readings, in ms
/** Below this the process's own memory is too much of a connection's share to multiply it. */
const REPRESENTATIVE = 1000;

/** Fuller than this far ahead is no forecast, in seconds. */
const HORIZON = 2 * 86400;

/** Slope of the least squares line, in connections a second; undefined without enough readings. */
export function slope(samples) {
	const recent = samples.filter(({ at }) => at >= samples.at(-1).at - WINDOW);
	if (recent.length < 3 || recent.at(-1).at - recent[0].at < ENOUGH) {
		return undefined;
	}
	const mean = (f) => recent.reduce((sum, s) => sum + f(s), 0) / recent.length;
	const [at, connections] = [mean((s) => s.at), mean((s) => s.connections)];
	const spread = mean((s) => (s.at - at) ** 2);
	return (mean((s) => (s.at - at) * (s.connections - connections)) / spread) * 1000;
}

/** What the card says: a figure, its unit, and a sentence. */
export function forecast(samples, reading) {
	const capacity = reading.total('capacity_connections');
	const { connections } = samples.at(-1);
	const cause = [...reading.by('capacity_limit', 'cause')].find(([, set]) => set === 1)?.[0];
	const limit = capacity === undefined ? '' : `room for ${format.count(capacity)}${cause ? ` (limit: ${cause})` : ''}${memoryAt(capacity, connections, reading)}`;
	const pace = slope(samples);
	if (capacity === undefined || pace === undefined) {
		return { figure: 'unknown', unit: '', note: capacity === undefined ? 'the node does not say what it can hold' : `${limit}; still watching` };
	}
	const perMinute = `${pace > 0 ? '+' : ''}${format.perSecond(pace * 60)} a minute`;
	if (Math.abs(pace) * (WINDOW / 1000) < Math.max(1, connections / 100)) {
		return { figure: 'steady', unit: '', note: limit };
	}
	if (pace < 0) {
		return { figure: 'falling', unit: perMinute, note: limit };
	}
	const left = Math.max(0, capacity - connections) / pace;
	return left > HORIZON
		? { figure: 'rising', unit: perMinute, note: limit }
		: { figure: `full in ${format.duration(left)}`, unit: perMinute, note: limit };
}

function memoryAt(capacity, connections, reading) {
	const kinds = reading.by('memory_bytes_per_connection', 'kind');
	const each = kinds.get('rss') + kinds.get('kernel');
	return connections >= REPRESENTATIVE && each > 0 ? `, with them about ${format.bytes(each * capacity)}` : '';
}
