// A client on the npm package ws that can be asked for one message after the other.
import assert from 'node:assert/strict';
import { WebSocket } from './packages.mjs';
import { node } from './suite.mjs';
import { token } from './token.mjs';

/** patience is how long a message or a close may take to come. */
const patience = 5000;

/** Client is one open WebSocket. Messages wait in order until they are asked for. */
export class Client {
	/** ws is the package's socket, for what no well-behaved client does. */
	ws;
	/** closed resolves to {code, reason} when the connection is over. */
	closed;
	#messages = [];
	#waiting = null;

	constructor(ws) {
		this.ws = ws;
		ws.on('message', (data, binary) => this.#arrived(binary ? data : data.toString()));
		this.closed = new Promise((resolve) => {
			ws.on('close', (code, reason) => {
				resolve({ code, reason: reason.toString() });
				this.#waiting?.reject(new Error(`closed with ${code} ${reason} instead of a message`));
			});
		});
		ws.on('error', () => {}); // a close event always follows
	}

	#arrived(message) {
		if (this.#waiting) {
			this.#waiting.resolve(message);
			this.#waiting = null;
		} else {
			this.#messages.push(message);
		}
	}

	/** next resolves to the next message: a string, or a Buffer if it is binary. */
	next() {
		if (this.#messages.length > 0) {
			return Promise.resolve(this.#messages.shift());
		}
		return within(new Promise((resolve, reject) => (this.#waiting = { resolve, reject })), 'a message');
	}

	/** expect takes the next message, which must be JSON of that type with those fields, and resolves to it. */
	async expect(type, fields = {}) {
		const message = JSON.parse(await this.next());
		assert.equal(message.type, type, JSON.stringify(message));
		for (const [name, value] of Object.entries(fields)) {
			assert.deepEqual(message[name], value, `${name} of ${JSON.stringify(message)}`);
		}
		return message;
	}

	/** send sends a command. */
	send(command) {
		this.ws.send(JSON.stringify(command));
	}

	/** join joins a room and waits for the answer. */
	async join(room) {
		this.send({ type: 'join', room, id: `join ${room}` });
		return this.expect('joined', { room, id: `join ${room}` });
	}

	/** quiet makes sure that nothing came and nothing is on its way: answers keep their order. */
	async quiet() {
		this.send({ type: 'ping', id: 'quiet' });
		await this.expect('pong', { id: 'quiet' });
	}

	/** expectClose waits for the end, which must have that code. */
	async expectClose(code) {
		const got = await within(this.closed, 'a close');
		assert.equal(got.code, code, `closed with ${got.code} ${got.reason}`);
		return got;
	}

	/** close asks for the end and waits for the server's consent. */
	async close() {
		this.ws.close(1000);
		await this.expectClose(1000);
	}
}

function within(promise, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${patience} ms for ${what}`)), patience);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** dial opens a WebSocket. It rejects with {status, headers} if the server answers with anything but 101. */
export function dial(path, protocols, options = {}) {
	return new Promise((resolve, reject) => {
		const ws = new WebSocket(`ws://${node}${path}`, protocols, { handshakeTimeout: patience, ...options });
		const client = new Client(ws);
		ws.once('open', () => resolve(client));
		ws.once('unexpected-response', (request, response) => {
			request.destroy();
			reject(Object.assign(new Error(`answered ${response.statusCode}`), { status: response.statusCode, headers: response.headers }));
		});
		ws.once('error', reject);
	});
}

/** enter opens a connection of user and takes its welcome. */
export async function enter(user, path = '/ws', claims = {}, options = {}) {
	const client = await dial(path, ['roost.v1', 'token.' + token(user, claims)], options);
	client.welcome = await client.expect('welcome', { user });
	return client;
}

/** expectRefused dials and wants that HTTP status instead of an upgrade. */
export async function expectRefused(status, path, protocols, options) {
	const error = await dial(path, protocols, options).then(
		() => assert.fail(`opened instead of ${status}`),
		(error) => error,
	);
	assert.equal(error.status, status, error.message);
	return error;
}
