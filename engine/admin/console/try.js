// The client to try things with: what any page would write with roost.js, with a log of what happens.

import { Roost } from '/roost.js';

const KEPT = 200; // lines of the log
const $ = (id) => document.getElementById('try-' + id);

let roost;
const rooms = new Map();

/** Offers an address to connect to, unless somebody has typed one. */
export function offer(listen) {
	if ($('url').value !== '' || !listen) {
		return;
	}
	const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? [];
	if (port) {
		const anywhere = ['', '[::]', '0.0.0.0'].includes(host);
		$('url').value = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${anywhere ? location.hostname : host}:${port}/ws`;
	}
}

/** Joins a room that the page shows, if the client is on. */
export function enter(room) {
	$('room').value = room;
	join(room);
}

function log(what, className = '', name = '') {
	const line = Object.assign(document.createElement('li'), { className });
	const time = Object.assign(document.createElement('time'), { textContent: new Date().toLocaleTimeString() });
	line.append(time, ' ', ...(name ? [Object.assign(document.createElement('b'), { textContent: name }), ' '] : []), what);
	const list = $('log');
	const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
	list.append(line);
	while (list.children.length > KEPT) {
		list.firstChild.remove();
	}
	if (atEnd) {
		list.scrollTop = list.scrollHeight;
	}
}

const wrong = (error, name) => log(error.message, 'wrong', name);

function show(state) {
	const badge = $('state');
	badge.textContent = state;
	badge.className = 'badge ' + ({ open: 'good', waiting: 'warn', connecting: 'warn' }[state] ?? '');
	$('switch').textContent = state === 'closed' ? 'Connect' : 'Disconnect';
}

function connect() {
	const token = $('token').value.trim();
	try {
		roost = new Roost($('url').value.trim(), { token });
	} catch (error) {
		wrong(error);
		return;
	}
	show(roost.state);
	const mine = roost;
	let opened = false;
	mine.on('state', (state) => mine === roost && show(state));
	mine.on('open', ({ user, connection, node }) => {
		opened = true;
		log(`open as ${user}, connection ${connection} on ${node}`, 'said');
	});
	mine.on('close', ({ code, reason, reconnect, delay }) => {
		log(`closed: ${code} ${reason}${reconnect ? `; again in ${(delay / 1000).toFixed(1)} s` : ''}`, 'said');
		if (!opened && code === 1006) {
			log(`A page is not told why. ${token ? 'Is the token right' : 'Does the node want a token (roost token mint)'}, and does origins list ${location.origin}?`, 'wrong');
		}
	});
	mine.on('error', (error) => wrong(error));
	[...rooms.keys()].forEach(join);
}

function disconnect() {
	roost.close();
	roost = undefined;
	show('closed');
}

function join(name) {
	rooms.set(name, undefined);
	if (roost) {
		const room = roost.join(name);
		if (rooms.get(name) !== room) {
			rooms.set(name, room);
			listen(room, name);
		}
	}
	chips();
}

function listen(room, name) {
	room.on('joined', () => log('joined', 'said', name));
	room.on('left', () => forget(name));
	room.on('error', () => forget(name)); // the client's own listener writes it down
	room.on('message', ({ data, from }) => log(`${from ? from + ': ' : ''}${JSON.stringify(data)}`, '', name));
	room.on('gap', () => log('gap: something may have been missed', 'wrong', name));
	room.on('recovered', ({ messages }) => log(`recovered, ${messages} made up for`, 'said', name));
	room.on('presence', ({ user, joined }) => log(`${user} ${joined ? 'came' : 'went'}`, 'said', name));
}

function forget(name) {
	rooms.delete(name);
	chips();
}

function chips() {
	$('rooms').replaceChildren(
		...[...rooms].map(([name, room]) => {
			const chip = Object.assign(document.createElement('button'), { type: 'button', textContent: `${name} ×`, title: `leave ${name}` });
			chip.addEventListener('click', () => {
				room?.leave().then(() => log('left', 'said', name), wrong);
				forget(name);
			});
			return chip;
		}),
	);
}

function publish() {
	const text = $('data').value;
	let data = text;
	try {
		data = JSON.parse(text);
	} catch {
		// it is text, then
	}
	const name = $('room').value;
	if (!roost) {
		log('connect first', 'wrong');
		return;
	}
	roost.publish(name, data).catch((error) => wrong(error, name));
}

/** Wires the forms. */
export function begin() {
	for (const [form, act] of Object.entries({
		connect: () => (roost && roost.state !== 'closed' ? disconnect() : connect()),
		join: () => join($('room').value),
		publish,
	})) {
		$(form).addEventListener('submit', (event) => {
			event.preventDefault();
			act();
		});
	}
}
