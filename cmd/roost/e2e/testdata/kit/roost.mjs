// The browser client under test, and what tests want to see of it.
import assert from 'node:assert/strict';
import { WebSocket } from './packages.mjs';

const client = new URL('../../../../../engine/admin/client/', import.meta.url);
export const { Roost, RoostError, default: Default } = await import(new URL('roost.js', client).href);
export const clientFolder = client;

const patience = 8000;

/** connect makes a client on the npm package ws that comes back quickly and notes all that happens to it. */
export function connect(address, options = {}, path = '/ws') {
	const roost = new Roost(`ws://${address}${path}`, { WebSocket, firstDelay: 50, ...options });
	roost.seen = { state: [], open: [], close: [], error: [], message: [] };
	for (const [event, list] of Object.entries(roost.seen)) {
		roost.on(event, (value) => list.push(value));
	}
	return roost;
}

/** note joins a room and notes all that happens in it. */
export function note(roost, name) {
	const seen = { message: [], gap: [], recovered: [], joined: [], left: [], presence: [], error: [] };
	const room = roost.join(name);
	for (const [event, list] of Object.entries(seen)) {
		room.on(event, (value) => list.push(value));
	}
	return Object.assign(room, { seen });
}

/** until waits for a condition, and says what it waited for in vain. */
export async function until(what, condition) {
	for (const end = Date.now() + patience; ; ) {
		const value = condition();
		if (value) {
			return value;
		}
		if (Date.now() > end) {
			assert.fail(`waited ${patience} ms until ${what}`);
		}
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

/** rejected wants a promise to fail with that code, and resolves to the error. */
export async function rejected(promise, code) {
	const error = await promise.then(
		(value) => assert.fail(`resolved to ${JSON.stringify(value)} instead of ${code}`),
		(error) => error,
	);
	assert.ok(error instanceof RoostError, error.stack);
	assert.equal(error.code, code, error.message);
	return error;
}
