// roost.js against real nodes.
import assert from 'node:assert/strict';
import { freeAddress, serve } from '../kit/process.mjs';
import { connect, note, rejected, until } from '../kit/roost.mjs';
import { admin, node, pause, run } from '../kit/suite.mjs';
import { token } from '../kit/token.mjs';

const quick = ['drain.grace=0s', 'drain.window=0s'];
const dev = ['dev', ...quick];

/** order asks the operator's port of a node for something. */
async function order(admin, path, body) {
	const response = await fetch(`http://${admin}${path}`, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(body),
	});
	assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
	return response.json();
}

await run({
	'two clients talk': async () => {
		const [a, b] = [connect(node), connect(node)];
		const [mine, theirs] = [note(a, 'talk'), note(b, 'talk')];
		await Promise.all([mine.joined, theirs.joined]);
		const data = { text: 'grüße 👋', n: [1, null] };
		const { room } = await mine.publish(data, { echo: false });
		assert.equal(room, 'talk');
		await until('it is heard', () => theirs.seen.message.length === 1);
		assert.deepEqual([theirs.seen.message[0].data, theirs.seen.message[0].from], [data, 'anonymous']);
		assert.equal(mine.seen.message.length, 0);
		await order(admin, '/api/publish', { room: 'talk', data: 'from a backend' });
		await until('both hear it', () => mine.seen.message.length === 1 && theirs.seen.message.length === 2);
		assert.equal(mine.seen.message[0].from, undefined);
		await theirs.leave();
		await mine.publish('alone');
		await until('it is heard', () => mine.seen.message.length === 2);
		assert.equal(theirs.seen.message.length, 2);
		assert.equal(a.welcome.user, 'anonymous');
		await rejected(a.publish('elsewhere', 1), 'not_joined');
		await rejected(connect(node).join('no such name!').joined, 'bad_room');
		await a.ping();
		a.close();
		b.close();
	},
	'after a crash it is in its rooms again': async () => {
		const address = await freeAddress();
		const first = await serve(address, ...dev);
		const roost = connect(address, { maxDelay: 200 });
		const rooms = Array.from({ length: 20 }, (_, i) => note(roost, `r${i}`));
		await Promise.all(rooms.map((room) => room.joined));
		first.end('SIGKILL');
		await first.ended;
		await until('it has failed to come back', () => roost.seen.close.length > 1);
		const second = await serve(address, ...dev);
		await until('all rooms are joined again', () => rooms.every(({ state }) => state === 'joined'));
		assert.ok(rooms.every(({ seen }) => seen.gap.length === 1 && seen.joined.length === 1), 'each room has been told of its gap');
		await rooms[7].publish('still here');
		await until('it is heard', () => rooms[7].seen.message.length === 1);
		let metrics = '';
		for (let i = 0; i < 100 && !metrics.includes('\nroost_handshakes_total 1\n'); i++) {
			await pause(20); // figures are as of the last tick
			metrics = await (await fetch(`http://${second.admin}/metrics`)).text();
		}
		assert.match(metrics, /^roost_reconnects_total 1$/m);
		roost.close();
		second.end('SIGTERM');
		assert.equal(await second.ended, 0);
	},
	'what was missed is brought back where the node keeps history': async () => {
		const address = await freeAddress();
		const kept = await serve(address, ...dev, 'history.size=10');
		// It stays away for as long as it takes to publish what it is to miss.
		const [a, b] = [connect(address, { firstDelay: 1500, maxDelay: 1500, random: () => 1 }), connect(address)];
		const [mine, theirs] = [note(a, 'kept'), note(b, 'kept')];
		await Promise.all([mine.joined, theirs.joined]);
		await theirs.publish(0);
		await until('the first is heard', () => mine.seen.message.length === 1);
		const offsets = () => mine.seen.message.map(({ offset }) => offset);
		for (const missed of [3, 12]) {
			const before = offsets().length;
			await order(kept.admin, '/api/disconnect', { connection: a.welcome.connection, code: 1001 });
			for (let i = 0; i < missed; i++) {
				await order(kept.admin, '/api/publish', { room: 'kept', data: i });
			}
			await until('it is a member again', () => mine.seen.recovered.length + mine.seen.gap.length === (missed === 3 ? 1 : 2));
			assert.equal(offsets().length - before, missed === 3 ? 3 : 0, 'more than is kept is a gap');
		}
		assert.deepEqual(offsets(), [1, 2, 3, 4]);
		assert.deepEqual([mine.seen.recovered.length, mine.seen.gap.length], [1, 1]);
		await theirs.publish('on it goes');
		await until('it is heard', () => mine.seen.message.length === 5);
		assert.deepEqual(theirs.seen.message.map(({ offset }) => offset), Array.from({ length: 17 }, (_, i) => i + 1));
		a.close();
		b.close();
		kept.end('SIGTERM');
		assert.equal(await kept.ended, 0);
	},
	'a node that ends says when to come back': async () => {
		const address = await freeAddress();
		const first = await serve(address, ...dev, 'drain.reconnect_in=1s');
		const roost = connect(address);
		const room = note(roost, 'a');
		await room.joined;
		first.end('SIGTERM');
		await until('it is sent away', () => roost.seen.close.length === 1);
		const lost = Date.now();
		assert.equal(roost.seen.close[0].code, 1001);
		assert.ok(roost.seen.close[0].delay >= 1000 && roost.seen.close[0].delay < 3000, `delay ${roost.seen.close[0].delay}`);
		await first.ended;
		const second = await serve(address, ...dev);
		await until('it is back', () => room.state === 'joined');
		assert.ok(Date.now() - lost >= 1000, `back after ${Date.now() - lost} ms`);
		roost.close();
		second.end('SIGTERM');
		await second.ended;
	},
	'a token that the node refuses is replaced': async () => {
		for (const refuse of ['close', 'http']) {
			const served = await serve(await freeAddress(), ...quick, `auth.refuse=${refuse}`);
			let asked = 0;
			const old = () => token('alice', { exp: Math.floor(Date.now() / 1000) - 60 });
			const roost = connect(served.address, { token: async () => (++asked === 1 ? old() : token('alice')) });
			await until('it is open', () => roost.state === 'open');
			assert.equal(asked, 2);
			assert.deepEqual(roost.seen.close.map(({ code }) => code), refuse === 'close' ? [4401] : [1006, 1006]);
			assert.equal(roost.welcome.user, 'alice');
			roost.close();
			served.end('SIGTERM');
			await served.ended;
		}
	},
	'a token is refreshed before it ends': async () => {
		const served = await serve(await freeAddress(), ...quick);
		let asked = 0;
		// The node speaks 30 s before the end, and the client answers after a tenth of what is left at the earliest.
		const ends = () => Math.floor(Date.now() / 1000) + (++asked === 1 ? 12 : 600);
		const roost = connect(served.address, { token: () => token('alice', { exp: ends() }), random: () => 0 });
		await until('a second token was asked for', () => asked === 2);
		const { expires } = await roost.refresh();
		assert.ok(expires > Date.now() / 1000 + 500);
		assert.deepEqual(roost.seen.close, []);
		roost.close();
		served.end('SIGTERM');
		await served.ended;
	},
	'a token that covers less leaves rooms': async () => {
		const served = await serve(await freeAddress(), ...quick);
		let rooms = ['a', 'b'];
		const roost = connect(served.address, { token: () => token('alice', { rooms }) });
		const [a, b] = [note(roost, 'a'), note(roost, 'b')];
		await Promise.all([a.joined, b.joined]);
		rooms = ['b'];
		await roost.refresh();
		await until('it is told', () => a.seen.left.length === 1);
		await rejected(roost.join('a').joined, 'forbidden');
		await b.publish('still');
		roost.close();
		served.end('SIGTERM');
		await served.ended;
	},
	'whom the backend disconnects stays away': async () => {
		const served = await serve(await freeAddress(), ...dev);
		const roost = connect(served.address);
		await until('it is open', () => roost.state === 'open');
		await order(served.admin, '/api/disconnect', { connection: roost.welcome.connection, reason: 'banned' });
		await until('it stops', () => roost.state === 'closed');
		assert.deepEqual(roost.seen.close, [{ code: 4409, reason: 'banned', reconnect: false, delay: undefined }]);

		const other = connect(served.address);
		await until('it is open', () => other.state === 'open');
		await order(served.admin, '/api/disconnect', { connection: other.welcome.connection, code: 4429 });
		await until('it waits', () => other.state === 'waiting');
		assert.ok(other.seen.close[0].delay >= 30_000);
		other.close();
		served.end('SIGTERM');
		await served.ended;
	},
});
