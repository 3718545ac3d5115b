// A line chart of the last minutes, as SVG.

const NS = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [300, 60];
/** How high the highest value is drawn: above it stands what that is. */
const TOP = 45;
/** How much is kept and shown, and how much at least is shown, in ms. */
export const SPAN = 10 * 60_000;
const LEAST = 30_000;

const svg = (tag, attributes) => {
	const element = document.createElementNS(NS, tag);
	Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
	return element;
};

export class Chart {
	#paths;
	#samples = [];
	#format;
	#names;
	#svg = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
	#cursor = svg('line', { class: 'cursor', y1: 0, y2: HEIGHT, visibility: 'hidden' });
	#top = Object.assign(document.createElement('span'), { className: 'top' });
	#at = Object.assign(document.createElement('span'), { className: 'at' });
	element = Object.assign(document.createElement('div'), { className: 'chart' });

	/** names are of the series, one or two; format writes a value. */
	constructor(title, names, format) {
		this.#format = format;
		this.#names = names;
		this.#svg.setAttribute('aria-label', `${title}, the last minutes`);
		this.#svg.append(svg('line', { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), svg('line', { x1: 0, x2: WIDTH, y1: 0, y2: 0 }));
		this.#paths = names.map((_, i) => {
			const series = i === 0 ? 'first' : 'second';
			const pair = [svg('path', { class: `area ${series}` }), svg('path', { class: series })];
			this.#svg.append(...pair);
			return pair;
		});
		this.#svg.append(this.#cursor);
		this.element.append(this.#svg, this.#top, this.#at);
		this.element.addEventListener('pointermove', (event) => this.#point(event));
		this.element.addEventListener('pointerleave', () => this.#leave());
	}

	/** Adds one value for each series; one that is undefined leaves a hole. */
	add(at, values) {
		this.#samples.push({ at, values });
		while (this.#samples[0].at < at - SPAN) {
			this.#samples.shift();
		}
		this.#draw();
	}

	get #range() {
		const last = this.#samples.at(-1).at;
		return [Math.min(this.#samples[0].at, last - LEAST), last];
	}

	#draw() {
		const [from, to] = this.#range;
		const most = Math.max(0, ...this.#samples.flatMap(({ values }) => values.filter((v) => v !== undefined)));
		this.#top.textContent = most > 0 ? this.#format(most) : '';
		const x = (at) => ((at - from) / (to - from)) * WIDTH;
		const y = (v) => HEIGHT - (most > 0 ? v / most : 0) * TOP;
		this.#paths.forEach(([area, line], i) => {
			let [d, filled, start, last] = ['', '', undefined, undefined];
			const end = () => {
				if (start !== undefined) {
					filled += `L${last} ${HEIGHT}L${start} ${HEIGHT}Z`;
				}
				start = undefined;
			};
			for (const { at, values } of this.#samples) {
				if (values[i] === undefined) {
					end();
					continue;
				}
				last = x(at).toFixed(1);
				const point = `${start === undefined ? 'M' : 'L'}${last} ${y(values[i]).toFixed(1)}`;
				start ??= last;
				d += point;
				filled += point;
			}
			end();
			line.setAttribute('d', d);
			area.setAttribute('d', filled);
		});
	}

	#point({ clientX }) {
		if (this.#samples.length === 0) {
			return;
		}
		const { left, width } = this.element.getBoundingClientRect();
		const [from, to] = this.#range;
		const at = from + ((clientX - left) / width) * (to - from);
		const near = this.#samples.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a));
		const x = ((near.at - from) / (to - from)) * WIDTH;
		this.#cursor.setAttribute('x1', x);
		this.#cursor.setAttribute('x2', x);
		this.#cursor.setAttribute('visibility', 'visible');
		const values = near.values.map((v, i) => `${this.#names[i]} ${v === undefined ? '–' : this.#format(v)}`);
		this.#at.textContent = `${new Date(near.at).toLocaleTimeString()} ${values.join(' ')}`;
	}

	#leave() {
		this.#cursor.setAttribute('visibility', 'hidden');
		this.#at.textContent = '';
	}
}
