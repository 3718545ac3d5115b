// Writes figures as people read them.

const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const fine = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** What is not known. */
export const UNKNOWN = '–';

const known = (write) => (n) => (n === undefined || !Number.isFinite(n) ? UNKNOWN : write(n));

export const count = known((n) => (Math.abs(n) < 100_000 ? plain.format(n) : short.format(n)));

export const perSecond = known((n) => (n >= 100 || n === 0 ? count(Math.round(n)) : fine.format(n)));

export const bytes = known((n) => {
	const power = n < 1000 ? 0 : Math.min(4, Math.floor(Math.log(n) / Math.log(1024)));
	return `${fine.format(power === 0 ? Math.round(n) : n / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
});

/** A short time, given in seconds. */
export const seconds = known((s) => (s >= 1 ? `${fine.format(s)} s` : s >= 0.001 || s === 0 ? `${fine.format(s * 1000)} ms` : `${fine.format(s * 1e6)} µs`));

/** A long time, given in seconds. */
export const duration = known((s) => {
	const [n, unit] = s < 90 ? [s, 's'] : s < 5400 ? [s / 60, 'min'] : s < 48 * 3600 ? [s / 3600, 'h'] : [s / 86400, 'days'];
	return `${Math.round(n)} ${unit}`;
});
