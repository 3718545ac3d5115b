// Two users in a room: what each command does and what it answers.
import assert from 'node:assert/strict';
import { enter } from '../kit/client.mjs';
import { run } from '../kit/suite.mjs';

/** pair opens two connections that are members of room. */
async function pair(room) {
	const [alice, bob] = await Promise.all([enter('alice'), enter('bob')]);
	await Promise.all([alice.join(room), bob.join(room)]);
	return [alice, bob];
}

await run({
	'a message reaches both, and the publisher is told': async () => {
		const [alice, bob] = await pair('chat');
		alice.send({ type: 'publish', room: 'chat', id: 7, data: { text: 'hello', n: 1.5 } });
		await bob.expect('message', { room: 'chat', from: 'alice', data: { text: 'hello', n: 1.5 } });
		// Which of the two comes first is not promised.
		const both = [JSON.parse(await alice.next()), JSON.parse(await alice.next())];
		const answer = both.find((m) => m.type === 'published');
		const echo = both.find((m) => m.type === 'message');
		assert.equal(answer?.id, 7, JSON.stringify(both));
		assert.equal(answer.room, 'chat');
		assert.equal(echo?.data.text, 'hello', JSON.stringify(both));
		await Promise.all([alice.close(), bob.close()]);
	},
	'data comes as it was written': async () => {
		const [alice, bob] = await pair('bytes');
		const data = '{"b": 1.0, "a":[ 1e3,"\\u00e9" ],"z":null}';
		alice.ws.send(`{"type":"publish","room":"bytes","data":${data}}`);
		const message = await bob.next();
		assert.ok(message.includes(data), message);
		await Promise.all([alice.close(), bob.close()]);
	},
	'a hundred messages come in order, answers too': async () => {
		const [alice, bob] = await pair('order');
		for (let i = 0; i < 100; i++) {
			alice.send({ type: 'publish', room: 'order', id: i, echo: false, data: i });
		}
		for (let i = 0; i < 100; i++) {
			await bob.expect('message', { data: i });
			await alice.expect('published', { id: i });
		}
		await Promise.all([alice.close(), bob.close()]);
	},
	'both talk at once': async () => {
		const [alice, bob] = await pair('both');
		for (let i = 0; i < 20; i++) {
			alice.send({ type: 'publish', room: 'both', data: { from: 'alice', i } });
			bob.send({ type: 'publish', room: 'both', data: { from: 'bob', i } });
		}
		for (const listener of [alice, bob]) {
			const next = { alice: 0, bob: 0 };
			for (let n = 0; n < 40; n++) {
				const { data, from } = await listener.expect('message');
				assert.equal(from, data.from);
				assert.equal(data.i, next[from]++, `order of ${from}`);
			}
		}
		await Promise.all([alice.close(), bob.close()]);
	},
	'echo: false keeps it from the publisher alone': async () => {
		const [alice, bob] = await pair('echo');
		alice.send({ type: 'publish', room: 'echo', id: 'e', echo: false, data: 1 });
		await alice.expect('published', { id: 'e' });
		await bob.expect('message', { data: 1 });
		await alice.quiet();
		await Promise.all([alice.close(), bob.close()]);
	},
	'who left hears no more': async () => {
		const [alice, bob] = await pair('left');
		bob.send({ type: 'leave', room: 'left', id: 1 });
		await bob.expect('left', { room: 'left', id: 1 });
		alice.send({ type: 'publish', room: 'left', id: 2, echo: false, data: 'gone?' });
		await alice.expect('published', { id: 2 });
		await bob.quiet();
		await Promise.all([alice.close(), bob.close()]);
	},
	'a room does not hear another': async () => {
		const [alice, bob] = [await enter('alice'), await enter('bob')];
		await alice.join('here');
		await bob.join('there');
		alice.send({ type: 'publish', room: 'here', id: 1, echo: false, data: 1 });
		await alice.expect('published', { id: 1 });
		await bob.quiet();
		await Promise.all([alice.close(), bob.close()]);
	},
	'an answer bears the id of its command, and without one there is none': async () => {
		const alice = await enter('alice');
		for (const id of ['p', '', 0, 12345]) {
			alice.send({ type: 'ping', id });
			await alice.expect('pong', { id });
		}
		for (const type of ['ping', 'join', 'publish', 'leave']) {
			alice.send({ type, room: 'silent', echo: false, data: 1 });
		}
		await alice.quiet();
		await alice.close();
	},
	'what is refused leaves the connection open': async () => {
		const alice = await enter('alice', '/ws', { rooms: ['public.*'], rooms_read: ['news'] });
		for (const [command, code] of [
			[{ type: 'join', room: 'secret' }, 'forbidden'],
			[{ type: 'join', room: 'no room!' }, 'bad_room'],
			[{ type: 'publish', room: 'public.a', data: 1 }, 'not_joined'],
			[{ type: 'leave', room: 'public.a' }, 'not_joined'],
			[{ type: 'dance' }, 'bad_request'],
		]) {
			alice.send({ ...command, id: 'x' });
			await alice.expect('error', { id: 'x', code });
		}
		alice.ws.send('not JSON');
		await alice.expect('error', { code: 'bad_request' });
		await alice.join('news');
		alice.send({ type: 'publish', room: 'news', id: 'n', data: 1 });
		await alice.expect('error', { id: 'n', code: 'forbidden' });
		await alice.join('public.a');
		await alice.close();
	},
});
