// The cards: for each what it is called, what it reads out of the metrics, and how that is written.

import { Chart } from './chart.js';
import * as format from './format.js';
import { quantile, rate } from './metrics.js';

/** Below this a connection's share is mostly the process itself. */
const FEW = 100;

const rates = (...names) => ({ now, before }) => names.map((name) => rate(before, now, name));
const quantiles = (name) => ({ now, lately }) => [0.5, 0.99].map((q) => quantile(lately, now, name, q));

/** read gets {now, before, lately}: this reading, the one before, and one of about a minute ago. */
const cards = [
	{
		title: 'Live connections',
		names: ['open'],
		format: format.count,
		read: ({ now }) => [now.total('connections')],
		note: ({ now }) => {
			const [open, most] = [now.total('connections'), now.total('capacity_connections')];
			return most > 0 ? `${((open / most) * 100).toFixed(1)} % of ${format.count(most)}; ${format.count(now.total('members'))} members in ${format.count(now.total('rooms'))} rooms` : '';
		},
	},
	{
		title: 'Messages a second',
		names: ['in', 'out'],
		format: format.perSecond,
		read: rates('messages_received_total', 'messages_sent_total'),
		note: ({ now }) => `${format.count(now.total('messages_received_total'))} in, ${format.count(now.total('messages_sent_total'))} out since the start`,
	},
	{
		title: 'Bytes a second',
		names: ['in', 'out'],
		format: format.bytes,
		read: rates('received_bytes_total', 'sent_bytes_total'),
		note: ({ now }) => `${format.bytes(now.total('outbound_bytes'))} wait for slow clients`,
	},
	{
		title: 'Reconnects and all handshakes a second',
		names: ['reconnects', 'all'],
		format: format.perSecond,
		read: rates('reconnects_total', 'handshakes_total'),
		note: ({ now }) => `${format.count(now.total('reconnects_total'))} reconnects of ${format.count(now.total('handshakes_total'))} since the start`,
	},
	{
		title: 'Memory a connection',
		names: ['user', 'kernel'],
		format: format.bytes,
		read: ({ now }) => {
			const kinds = now.by('memory_bytes_per_connection', 'kind');
			return now.total('connections') > 0 ? [kinds.get('rss'), kinds.get('kernel')] : [undefined, undefined];
		},
		note: ({ now }) => {
			const open = now.total('connections');
			const heap = now.by('memory_bytes_per_connection', 'kind').get('heap');
			return open === 0 ? 'no connections' : `heap ${format.bytes(heap)}${open < FEW ? '; so few: mostly the process itself' : ''}`;
		},
	},
	{
		title: 'Ping round trip, last minute',
		names: ['p50', 'p99'],
		format: format.seconds,
		read: quantiles('ping_rtt_seconds'),
		note: () => 'from heartbeats: the network and the client',
	},
	{
		title: "Loops' lag, last minute",
		names: ['p50', 'p99'],
		format: format.seconds,
		read: quantiles('loop_lag_seconds'),
		note: ({ stats }) => (stats ? `${format.count(stats.node.loops)} loops; how late they come to what is due` : 'how late loops come to what is due'),
	},
	{
		title: 'Delivery, last minute',
		names: ['p50', 'p99'],
		format: format.seconds,
		read: quantiles('delivery_seconds'),
		note: ({ now }) => `publish to the last member here; ${format.count(now.total('deliveries_total'))} so far`,
	},
];

const element = (tag, className, text = '') => Object.assign(document.createElement(tag), { className, textContent: text });

/** Builds the cards into parent and returns a function that shows a moment in all of them. */
export function build(parent) {
	const shows = cards.map(({ title, names, format: write, read, note }) => {
		const card = element('section', 'card');
		const figures = element('div', 'figures');
		const below = element('p', 'note');
		const chart = new Chart(title, names, write);
		const values = names.map((name, i) => {
			const figure = element('span', 'figure');
			const value = element('b', '', format.UNKNOWN);
			figure.append(element('i', i === 0 ? 'first' : 'second'), value, element('small', '', name));
			figures.append(figure);
			return value;
		});
		card.append(element('h2', '', title), figures, below, chart.element);
		parent.append(card);
		return (moment) => {
			const read_ = read(moment);
			read_.forEach((v, i) => (values[i].textContent = write(v)));
			below.textContent = note(moment);
			chart.add(moment.now.at, read_);
		};
	});
	return (moment) => shows.forEach((show) => show(moment));
}

/** Builds the card without a chart, and returns a function that shows a forecast in it. */
export function buildForecast(parent) {
	const card = element('section', 'card');
	const figures = element('div', 'figures');
	const figure = element('span', 'figure');
	const [value, unit, note] = [element('b', '', 'unknown'), element('small', ''), element('p', 'note')];
	figure.append(value, unit);
	figures.append(figure);
	card.append(element('h2', '', 'Forecast'), figures, note);
	parent.append(card);
	return (said) => {
		[value.textContent, unit.textContent, note.textContent] = [said.figure, said.unit, said.note];
	};
}
