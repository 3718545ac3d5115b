// The console: asks the node every two seconds and shows the answer. Everything stays in the page; what it remembers
// is the theme, and in this tab the API's key.

import { forgetKey, guarded, hasKey, keepKey, open, Refusal } from './api.js';
import { build, buildForecast } from './cards.js';
import { SPAN } from './chart.js';
import { forecast } from './forecast.js';
import * as format from './format.js';
import { Reading } from './metrics.js';
import { Rooms } from './rooms.js';
import { fill } from './table.js';
import * as client from './try.js';

const EVERY = 2000;
const LATELY = 60_000;
const $ = (id) => document.getElementById(id);

const showCards = build($('cards'));
const showForecast = buildForecast($('cards'));
const rooms = new Rooms();
let readings = [];
let samples = [];
let stats;
let off = false; // the API has said that it is not for this page

/** The reading of about a minute ago, or the oldest since the node's start; undefined while there is but one. */
function lately(now) {
	return readings.findLast((r) => r.at <= now.at - LATELY) ?? (readings.length > 0 ? readings[0] : undefined);
}

function keep(now) {
	const last = readings.at(-1);
	if (last && now.total('handshakes_total') + now.total('accepted_total') < last.total('handshakes_total') + last.total('accepted_total')) {
		[readings, samples] = [[], []]; // the node has started anew
	}
	const moment = { now, before: readings.at(-1), lately: lately(now), stats };
	readings = [...readings.filter((r) => r.at > now.at - LATELY - 2 * EVERY), now];
	samples = [...samples.filter((s) => s.at > now.at - SPAN), { at: now.at, connections: now.total('connections') }];
	return moment;
}

/** Rows of a counter by its label: those that have counted anything, the busiest first. */
function counted({ now, lately: old }, name, label, prefix = '') {
	const before = old?.by(name, label);
	return [...now.by(name, label)]
		.filter(([, n]) => n > 0)
		.sort((a, b) => b[1] - a[1])
		.map(([word, n]) => [prefix + word.replaceAll('_', ' '), before ? format.count(n - (before.get(word) ?? 0)) : format.UNKNOWN, format.count(n)]);
}

function showTables(moment) {
	fill($('closes'), counted(moment, 'closes_total', 'reason'), 'nothing has been closed yet');
	const gaps = moment.now.total('gaps_total');
	fill(
		$('trouble'),
		[
			...counted(moment, 'handshakes_refused_total', 'reason', 'handshake: '),
			...counted(moment, 'deliveries_dropped_total', 'reason', 'dropped: '),
			...counted(moment, 'rate_limited_total', 'kind', 'rate: '),
			...(gaps > 0 ? [['gaps told', format.count(gaps - (moment.lately?.total('gaps_total') ?? gaps)), format.count(gaps)]] : []),
		],
		'nothing so far',
	);
}

function showRooms() {
	const rows = rooms.largest.map(([name, members]) => {
		const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'join', title: `join ${name} with the client` });
		button.addEventListener('click', () => client.enter(name));
		return [name, format.count(members), button];
	});
	fill($('rooms'), rows, 'no rooms');
	$('rooms-note').textContent = rooms.whole ? '' : 'sampled: the largest of the rooms looked at so far';
}

/** The guarded half. Without the key the rest of the page goes on. */
async function askApi() {
	try {
		stats = await guarded('/api/stats');
		$('node').textContent = stats.node.node;
		client.offer(stats.listen?.[0]);
		await rooms.sample();
		showRooms();
		$('key').hidden = true;
	} catch (error) {
		if (!(error instanceof Refusal)) {
			throw error;
		}
		stats = undefined;
		const wanted = error.status === 401;
		off = error.status === 403;
		$('key').hidden = !wanted;
		$('key-why').textContent = hasKey() ? 'The API does not take this key.' : 'Rooms and the node’s name are below /api/, which wants its key.';
		fill($('rooms'), [], wanted ? 'the API wants its key' : error.message);
		if (wanted) {
			forgetKey();
		}
	}
}

/** Asking without the key again would change nothing, and each refusal is a line in the browser's console. */
const mayAsk = () => !off && (hasKey() || $('key').hidden);

function showReadiness({ status, text }) {
	$('ready').textContent = text.trim();
	$('ready').className = `badge ${status === 200 ? 'good' : status === 404 ? 'warn' : 'bad'}`;
}

async function look() {
	const [metrics, ready] = await Promise.all([open('/metrics'), open('/readyz'), mayAsk() ? askApi() : undefined]);
	const now = new Reading(metrics.text);
	const moment = keep(now);
	showCards(moment);
	showTables(moment);
	showForecast(forecast(samples, now));
	showReadiness(ready);
	$('updated').textContent = `as of ${new Date(now.at).toLocaleTimeString()}`;
}

async function lookOn() {
	try {
		await look();
		$('failure').hidden = true;
	} catch (error) {
		$('failure').textContent = `The node does not answer: ${error.message}. Still trying.`;
		$('failure').hidden = false;
		showReadiness({ status: 503, text: 'no answer' });
	}
	setTimeout(lookOn, EVERY);
}

const themes = { system: 'light dark', light: 'light', dark: 'dark' };

function theme(name) {
	document.documentElement.style.colorScheme = themes[name];
	$('theme').textContent = `theme: ${name}`;
	$('theme').onclick = () => {
		const names = Object.keys(themes);
		const next = names[(names.indexOf(name) + 1) % names.length];
		localStorage.setItem('roost.theme', next);
		theme(next);
	};
}

const stored = localStorage.getItem('roost.theme');
theme(stored in themes ? stored : 'system');
client.begin();
$('key').addEventListener('submit', async (event) => {
	event.preventDefault();
	keepKey($('key-value').value);
	$('key-value').value = '';
	await askApi().catch(() => {}); // the next look says what is wrong
});
lookOn();
