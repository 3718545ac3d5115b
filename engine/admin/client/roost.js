// roost.js is a client for roost, in one module without dependencies, for browsers and for Node.
//
//     import { Roost } from './roost.js';
//
//     const roost = new Roost('wss://chat.example/ws', { token: () => fetch('/token').then((r) => r.text()) });
//     const room = roost.join('chat.42', { onMessage: ({ from, data }) => show(from, data), onGap: () => reload() });
//     await room.publish({ text: 'hi' });
//
// It keeps one connection. After a loss it does what the close code asks, backs off with jitter, and is in the same
// rooms again; each then hears either what it missed ("recovered") or that it may have missed something ("gap").
// A command that may have reached the node is never sent twice. roost.d.ts describes every option, method and event.

/** What a close code asks for; any other is a fault of the network or the node, after which it backs off. */
const AFTER = {
	1000: 'stop', 4403: 'stop', 4409: 'stop', // by wish, or for good
	1002: 'fail', 1003: 'fail', 1007: 'fail', 1008: 'fail', 1009: 'fail', // the same again would end the same way
	1001: 'told', 4401: 'token', 4429: 'long',
};

const DEFAULTS = { timeout: 10_000, queue: 10, firstDelay: 1000, maxDelay: 30_000, random: Math.random };
/** The delays after 4429. */
const LONG = [30_000, 300_000];
/** How long a connection must have lasted for the next loss to be the first one again. */
const SETTLED = 5000;
/** Joins under way at once: many are quick, while too many at once would meet the node's rate of commands. */
const JOINS = 8;
/** What becomes of a refused join: with these codes it is tried again. */
const TEMPORARY = ['rate_limited', 'unavailable', 'internal', 'timeout'];

/** @implements {import('./roost.d.ts').RoostError} */
export class RoostError extends Error {
	/** @param {string} code @param {string} message @param {{retryAfter?: number, sent?: boolean, cause?: unknown}} [more] */
	constructor(code, message, { retryAfter, sent = false, cause } = {}) {
		super(`${code}: ${message}`, { cause });
		this.name = 'RoostError';
		this.code = code;
		this.retryAfter = retryAfter;
		this.sent = sent;
	}
}

class Emitter {
	#listeners = new Map();

	on(event, listener) {
		const all = this.#listeners.get(event) ?? new Set();
		this.#listeners.set(event, all.add(listener));
		return () => void all.delete(listener);
	}

	/** Calls the listeners; one that throws is reported as uncaught and stops nothing. Says whether there was any. */
	static fire(emitter, event, value) {
		const all = [...(emitter.#listeners.get(event) ?? [])];
		for (const listener of all) {
			try {
				listener(value);
			} catch (error) {
				queueMicrotask(() => {
					throw error;
				});
			}
		}
		return all.length > 0;
	}
}

const { fire } = Emitter;

class Room extends Emitter {
	state = 'joining';
	/** Where this client stands in the room's stream, in rooms with history. */
	position;
	/** Messages that came while what lies before them is being asked for. */
	buffer;
	/** It was a member before, so what it missed since is an event. */
	returning = false;
	/** The gap that the node told of last. */
	lost;
	#send;

	constructor(name, send) {
		super();
		this.name = name;
		this.#send = send;
		this.joined = new Promise((resolve, reject) => {
			this.on('joined', () => resolve(this));
			this.on('end', reject);
		});
		this.joined.catch(() => {}); // who does not wait for it hears of it as an event
	}

	publish(data, options = {}) {
		return this.#send(this, { type: 'publish', room: this.name, data, ...options });
	}

	presence() {
		return this.#send(this, { type: 'presence', room: this.name });
	}

	history(options = {}) {
		return this.#send(this, { type: 'history', room: this.name, ...options });
	}

	leave() {
		return this.#send(this, { type: 'leave', room: this.name });
	}
}

export class Roost extends Emitter {
	/** The connection's welcome, while there is one. */
	welcome;
	/** Losses since the last connection that lasted; the node reads it as attempt=n. */
	attempt = 0;
	#url;
	#options;
	#state = 'closed';
	#plan = '';
	#run = 0; // what awaited something goes on only if this is still the same
	#socket;
	#token;
	#expires = Infinity; // of #token, in Unix seconds
	#failures = 0; // handshakes in a row that did not open
	#openedAt = 0;
	#heardAt = 0;
	#reconnectIn; // what the node said before it closed with 1001
	#timers = {}; // by purpose; none outlives its connection
	#probing = false;
	#lastID = 0;
	#pending = new Map(); // by id: sent, not answered
	#held = []; // not sent yet
	#rooms = new Map();
	#toJoin = new Set();
	#joining = new Set();
	#hint = () => this.#hurry();

	constructor(url, options = {}) {
		super();
		this.#url = new URL(url, globalThis.location?.href);
		this.#url.protocol = this.#url.protocol.replace('http', 'ws');
		this.#options = { WebSocket: globalThis.WebSocket, ...DEFAULTS, ...options };
		if (!this.#options.WebSocket) {
			throw new TypeError('there is no WebSocket here: pass one as an option, like that of the npm package ws');
		}
		this.connect();
	}

	get state() {
		return this.#state;
	}

	connect() {
		if (this.#state !== 'closed') {
			return;
		}
		this.attempt = 0;
		globalThis.addEventListener?.('online', this.#hint);
		globalThis.document?.addEventListener('visibilitychange', this.#hint);
		this.#dial();
	}

	close() {
		if (this.#state !== 'closed') {
			this.#drop(1000);
			this.#settle('stop', 1000, '');
		}
	}

	join(name, handlers = {}) {
		let room = this.#rooms.get(name);
		if (!room) {
			room = new Room(name, (from, command) => this.#command(command, from));
			this.#rooms.set(name, room);
			this.#toJoin.add(room);
		}
		for (const [key, listener] of Object.entries(handlers)) {
			room.on(key.slice(2).toLowerCase(), listener);
		}
		this.#pump();
		return room;
	}

	publish(room, data, options = {}) {
		return this.#command({ type: 'publish', room, data, ...options }, this.#rooms.get(room));
	}

	ping() {
		return this.#command({ type: 'ping' });
	}

	async refresh() {
		const answer = await this.#command({ type: 'refresh', token: await this.#obtain(true) });
		this.#expires = answer.expires ?? Infinity;
		return answer;
	}

	// Connecting.

	async #dial() {
		const run = ++this.#run;
		this.#enter('connecting');
		this.#after('deadline', this.#options.timeout, () => this.#lost(1006, 'no welcome in time'));
		try {
			const token = await this.#obtain(Date.now() / 1000 >= this.#expires);
			if (run === this.#run) {
				this.#open(token);
			}
		} catch (cause) {
			if (run === this.#run) {
				this.#report(new RoostError('token', 'there is no token to connect with', { cause }));
				this.#lost(1006, 'no token');
			}
		}
	}

	async #obtain(fresh) {
		const { token } = this.#options;
		if (typeof token !== 'function') {
			return token;
		}
		if (fresh || this.#token === undefined) {
			this.#token = undefined;
			this.#token = await token();
			this.#expires = Infinity;
		}
		return this.#token;
	}

	#open(token) {
		const url = new URL(this.#url);
		if (this.attempt > 0) {
			url.searchParams.set('attempt', this.attempt);
		}
		let socket;
		try {
			socket = new this.#options.WebSocket(url.href, ['roost.v1', ...(token ? ['token.' + token] : [])]);
		} catch (cause) {
			this.#drop();
			this.#settle('fail', 1006, 'the address or the token has characters that it may not have', cause);
			return;
		}
		socket.onmessage = ({ data }) => this.#receive(data);
		socket.onclose = ({ code, reason }) => this.#lost(code, reason);
		socket.onerror = () => {}; // a close follows
		this.#socket = socket;
	}

	#welcomed(m) {
		clearTimeout(this.#timers.deadline);
		this.#failures = 0;
		this.#openedAt = Date.now();
		this.#expires = m.expires ?? Infinity;
		this.welcome = m;
		this.#toJoin = new Set(this.#rooms.values());
		this.#watch(m.heartbeat * 2000);
		this.#enter('open');
		fire(this, 'open', m);
		this.#flush();
		this.#pump();
	}

	// Losing it, and what comes after.

	#lost(code, reason) {
		const { attempt } = this;
		this.attempt = this.#state === 'open' && Date.now() - this.#openedAt >= SETTLED ? 1 : attempt + 1;
		let plan = AFTER[code] ?? 'backoff';
		if (plan === 'token' || (this.#state === 'connecting' && this.#suspicious())) {
			this.#token = undefined;
		}
		if (plan === 'token' && typeof this.#options.token !== 'function') {
			plan = 'fail';
		}
		this.#drop();
		this.#settle(plan, code, reason);
	}

	/** A page sees no status of a refused handshake. It may have been the token at the 2nd, 4th, 8th, ... in a row. */
	#suspicious() {
		const n = ++this.#failures;
		return n > 1 && (n & (n - 1)) === 0;
	}

	/** Lets go of the connection, with a close code if that is our wish. */
	#drop(code) {
		const socket = this.#socket;
		this.#run++;
		this.#socket = this.welcome = undefined;
		this.#probing = false;
		Object.values(this.#timers).forEach((timer) => clearTimeout(timer));
		this.#timers = {};
		this.#joining.clear();
		if (socket) {
			socket.onmessage = socket.onclose = null;
			socket.close(code);
		}
	}

	/** Settles what waits for answers and either plans to come back or stops. */
	#settle(plan, code, reason, cause) {
		const stops = plan === 'stop' || plan === 'fail';
		const delay = stops ? undefined : this.#delay(plan);
		const waiting = [...this.#pending.values()];
		this.#pending.clear();
		this.#reconnectIn = undefined;
		this.#plan = plan;
		this.#state = stops ? 'closed' : 'waiting';
		for (const room of this.#rooms.values()) {
			room.returning ||= room.state === 'joined';
			room.state = 'joining';
			room.buffer = undefined;
		}
		waiting.forEach((settle) => settle(new RoostError('disconnected', `the connection ended with ${code} ${reason}`, { sent: true })));
		if (stops) {
			globalThis.removeEventListener?.('online', this.#hint);
			globalThis.document?.removeEventListener('visibilitychange', this.#hint);
			this.#refuseHeld(() => true, new RoostError('closed', `ended with ${code} ${reason}`));
		} else {
			this.#after('dial', delay, () => this.#dial());
		}
		fire(this, 'state', this.#state);
		fire(this, 'close', { code, reason, reconnect: !stops, delay });
		if (plan === 'fail') {
			this.#report(new RoostError('stopped', `ended with ${code} ${reason}: trying again would not change that`, { cause }));
		}
	}

	/** Milliseconds until the next attempt. */
	#delay(plan) {
		const { firstDelay, maxDelay, random } = this.#options;
		const grown = (first, most) => Math.min(most, first * 2 ** Math.min(this.attempt - 1, 30));
		if (plan === 'told' && this.#reconnectIn !== undefined) {
			return (this.#reconnectIn + random()) * 1000; // it was spread over clients in whole seconds
		}
		return plan === 'long' ? grown(...LONG) * (1 + random()) : grown(firstDelay, maxDelay) * random();
	}

	/** The network or the page is back: finds out at once, unless the node has asked for more time. */
	#hurry() {
		if (globalThis.document?.visibilityState === 'hidden') {
			return;
		}
		if (this.#state === 'waiting' && this.#plan === 'backoff') {
			clearTimeout(this.#timers.dial);
			this.#dial();
		}
		this.#probe(Math.min(this.#options.timeout, 5000));
	}

	/** Asks for a sign of life after two heartbeats of silence: the node's own pings are hidden from a page. */
	#watch(idle) {
		const quiet = Date.now() - this.#heardAt;
		if (quiet >= idle) {
			this.#probe();
		}
		if (idle > 0) {
			this.#after('watch', quiet >= idle ? idle : idle - quiet, () => this.#watch(idle));
		}
	}

	#probe(within) {
		if (this.#state !== 'open' || this.#probing) {
			return;
		}
		const asked = Date.now();
		this.#probing = true;
		const settle = (error) => {
			this.#probing = false;
			if (error?.code === 'timeout' && this.#heardAt < asked) {
				this.#lost(1006, 'no sign of life');
			}
		};
		this.#ask('{"type":"ping"}', settle, within);
	}

	// Commands.

	#command(command, room) {
		return new Promise((resolve, reject) => {
			const settle = (error, answer) => (error ? reject(error) : resolve(answer));
			const text = JSON.stringify(command);
			if (command.type === 'leave') {
				this.#leave(room, text, settle);
			} else if (this.#state === 'closed') {
				settle(new RoostError('closed', 'the client is closed'));
			} else if (room && this.#rooms.get(room.name) !== room) {
				settle(new RoostError('not_joined', 'the room was left'));
			} else if (this.#ready(room)) {
				this.#ask(text, settle);
			} else if (this.#held.length >= this.#options.queue) {
				settle(new RoostError('queue_full', 'too much waits for the connection'));
			} else {
				this.#hold({ room, text, settle });
			}
		});
	}

	#ready(room) {
		return this.#state === 'open' && (!room || room.state === 'joined');
	}

	#ask(text, settle, within = this.#options.timeout) {
		const id = ++this.#lastID;
		const timer = setTimeout(() => {
			this.#pending.delete(id);
			settle(new RoostError('timeout', 'no answer in time', { sent: true }));
			this.#probe();
		}, within);
		this.#pending.set(id, (error, answer) => {
			clearTimeout(timer);
			settle(error, answer);
		});
		this.#socket.send(`${text.slice(0, -1)},"id":${id}}`);
	}

	/** Keeps a command until it can be sent, within the same time that its answer would have had. */
	#hold(item) {
		const late = new RoostError('timeout', 'there was no connection in time');
		const timer = setTimeout(() => this.#refuseHeld((other) => other === item, late), this.#options.timeout);
		this.#held.push(Object.assign(item, { timer }));
	}

	#takeHeld(which) {
		const taken = this.#held.filter(which);
		this.#held = this.#held.filter((item) => !taken.includes(item));
		taken.forEach(({ timer }) => clearTimeout(timer));
		return taken;
	}

	#refuseHeld(which, error) {
		this.#takeHeld(which).forEach(({ settle }) => settle(error));
	}

	#flush() {
		this.#takeHeld(({ room }) => this.#ready(room)).forEach(({ text, settle }) => this.#ask(text, settle));
	}

	// Rooms.

	#pump() {
		while (this.#state === 'open' && !this.#timers.pause && this.#joining.size < JOINS && this.#toJoin.size > 0) {
			const [room] = this.#toJoin;
			this.#toJoin.delete(room);
			this.#askJoin(room);
		}
	}

	#askJoin(room) {
		const since = room.position;
		this.#joining.add(room);
		room.buffer ??= since && [];
		this.#ask(JSON.stringify({ type: 'join', room: room.name, since }), (error, answer) => {
			this.#joining.delete(room);
			if (this.#rooms.get(room.name) === room && error?.code !== 'disconnected') {
				if (!error) {
					this.#joined(room, answer);
				} else if (room.state === 'joined') {
					this.#joined(room, room.lost); // what was lost can't be had back
				} else {
					this.#joinFailed(room, error);
				}
			}
			this.#pump();
		});
	}

	#joinFailed(room, error) {
		if (room.position && error.retryAfter === undefined && ['unrecoverable', 'unavailable'].includes(error.code)) {
			room.position = undefined;
			this.#toJoin.add(room);
		} else if (TEMPORARY.includes(error.code)) {
			this.#toJoin.add(room);
			clearTimeout(this.#timers.pause);
			this.#after('pause', Math.max(1000, error.retryAfter ?? 0) * (1 + this.#options.random()), () => this.#pump());
		} else {
			this.#forget(room, 'refused', error);
			fire(room, 'error', error);
			fire(this, 'error', error);
		}
	}

	#joined(room, { epoch, offset = 0, recovered, messages = [] }) {
		const { buffer = [], returning } = room;
		Object.assign(room, { state: 'joined', returning: false, buffer: undefined });
		if (recovered) {
			messages.forEach((m) => this.#deliver(room, m));
		}
		const seen = (recovered && room.position?.offset) || 0;
		room.position = epoch === undefined ? undefined : { epoch, offset: Math.max(offset, seen) };
		if (!returning) {
			fire(room, 'joined', room);
		} else if (recovered) {
			fire(room, 'recovered', { messages: messages.length });
		} else {
			fire(room, 'gap', { epoch, offset });
		}
		buffer.forEach((m) => this.#deliver(room, m));
		this.#flush();
	}

	#deliver(room, m) {
		const { position } = room;
		if (position && m.offset !== undefined) {
			if (m.offset <= position.offset) {
				return; // known already
			}
			position.offset = m.offset;
		}
		fire(room, 'message', m);
		fire(this, 'message', m);
	}

	/** The node may have lost something here. Where it keeps history, that is asked for. */
	#gap(room, lost) {
		Object.assign(room, { returning: true, lost });
		if (!room.position || room.position.epoch !== lost.epoch) {
			this.#joined(room, lost);
		} else if (!this.#joining.has(room)) {
			room.buffer = [];
			this.#toJoin.add(room);
			this.#pump();
		}
	}

	#leave(room, text, settle) {
		const known = this.#rooms.get(room.name) === room;
		const member = known && this.#state === 'open' && (room.state === 'joined' || this.#joining.has(room));
		if (known) {
			this.#forget(room, 'left', new RoostError('left', 'the room was left'));
		}
		if (member) {
			this.#ask(text, settle);
		} else {
			settle();
		}
	}

	#forget(room, state, error) {
		this.#rooms.delete(room.name);
		this.#toJoin.delete(room);
		room.state = state;
		this.#refuseHeld((item) => item.room === room, error);
		fire(room, 'end', error);
	}

	// Messages of the node.

	#receive(text) {
		this.#heardAt = Date.now();
		let m;
		try {
			m = JSON.parse(text);
		} catch (cause) {
			this.#report(new RoostError('protocol', 'the node sent what is not roost.v1', { cause }));
			return;
		}
		const settle = this.#pending.get(m.id);
		if (settle) {
			this.#pending.delete(m.id);
			settle(m.type === 'error' ? failure(m) : undefined, m);
		} else {
			this.#push(m, this.#rooms.get(m.room));
		}
	}

	#push(m, room) {
		switch (m.type) {
			case 'welcome':
				this.#welcomed(m);
				break;
			case 'message':
				if (room?.buffer) {
					room.buffer.push(m);
				} else if (room) {
					this.#deliver(room, m);
				} else {
					fire(this, 'message', m); // of a room in the address
				}
				break;
			case 'gap':
				room && this.#gap(room, m);
				break;
			case 'member_joined':
			case 'member_left':
				room && fire(room, 'presence', { user: m.user, joined: m.type === 'member_joined' });
				break;
			case 'left': // a new token no longer covers it
				if (room) {
					this.#forget(room, 'left', new RoostError('forbidden', 'the token no longer allows this room'));
					fire(room, 'left', room);
				}
				break;
			case 'expiring':
				this.#expiring(m.in);
				break;
			case 'shutdown':
				this.#reconnectIn = m.reconnectIn;
				break;
			case 'error':
				this.#report(failure(m));
		}
	}

	/** Gets a new token in good time, but not at the very moment when all clients of the same age do. */
	#expiring(seconds) {
		if (typeof this.#options.token === 'function') {
			const wait = seconds * 1000 * (0.1 + 0.4 * this.#options.random());
			this.#after('refresh', wait, () => {
				this.refresh().catch((cause) => this.#report(new RoostError('token', 'the token could not be refreshed', { cause })));
			});
		}
	}

	// Small things.

	#after(purpose, ms, f) {
		this.#timers[purpose] = setTimeout(() => {
			this.#timers[purpose] = undefined;
			f();
		}, Math.min(ms, 2 ** 31 - 1));
	}

	#enter(state) {
		this.#state = state;
		fire(this, 'state', state);
	}

	#report(error) {
		if (!fire(this, 'error', error)) {
			console.error(error);
		}
	}
}

const failure = ({ code, message, retry_after }) => new RoostError(code, message, { retryAfter: retry_after, sent: true });

export default Roost;
