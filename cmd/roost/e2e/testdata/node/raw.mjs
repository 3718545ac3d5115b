// /raw/{room}: no envelope, and the sender hears itself.
import assert from 'node:assert/strict';
import { dial, enter, expectRefused } from '../kit/client.mjs';
import { run } from '../kit/suite.mjs';
import { token } from '../kit/token.mjs';

const open = (room, user, claims) => dial(`/raw/${room}`, ['token.' + token(user, claims)]);

await run({
	'text and binary go to everybody as they are': async () => {
		const [a, b] = [await open('raw.one', 'a'), await open('raw.one', 'b')];
		const messages = ['hello', '', '{"type":"join","room":"x"}', 'x'.repeat(64 * 1024), Buffer.from([0, 255, 128]), Buffer.alloc(0)];
		for (const message of messages) {
			a.ws.send(message);
			for (const client of [a, b]) {
				assert.deepEqual(await client.next(), message);
			}
		}
		await Promise.all([a.close(), b.close()]);
	},
	'many come in order': async () => {
		const [a, b] = [await open('raw.many', 'a'), await open('raw.many', 'b')];
		for (let i = 0; i < 200; i++) {
			a.ws.send(String(i));
		}
		for (let i = 0; i < 200; i++) {
			assert.equal(await b.next(), String(i));
		}
		await Promise.all([a.close(), b.close()]);
	},
	'text in a room of roost.v1 is a string there': async () => {
		const sensor = await open('mixed', 'sensor');
		const alice = await enter('alice');
		await alice.join('mixed');
		sensor.ws.send('23.5 "C"');
		await alice.expect('message', { room: 'mixed', from: 'sensor', data: '23.5 "C"' });
		await Promise.all([sensor.close(), alice.close()]);
	},
	'no such room name': () => expectRefused(404, '/raw/no%20room', ['token.' + token('a')]),
	'a room that the token does not allow': () => expectRefused(403, '/raw/secret', ['token.' + token('a', { rooms: ['public'] })]),
});
