// roost.js against a node that says what each case is about.
import assert from 'node:assert/strict';
import { Node } from '../kit/node.mjs';
import { connect, note, rejected, until } from '../kit/roost.mjs';
import { pause, run } from '../kit/suite.mjs';

/** meet starts a node and a client, and resolves to both when the client is open. */
async function meet(options, welcome) {
	const node = await Node.start();
	const roost = connect(node.address, options);
	const peer = (await node.peer()).welcome(welcome);
	await until('it is open', () => roost.state === 'open');
	return { node, roost, peer };
}

/** meetIn also joins a room, which keeps history if it is given a position. */
async function meetIn(name, position, options) {
	const all = await meet(options);
	const room = note(all.roost, name);
	await all.peer.joined(position);
	await room.joined;
	return { ...all, room };
}

const message = (room, offset, data = offset) => ({ type: 'message', room, data, offset });
const told = (room) => room.seen.message.map(({ data }) => data);

const cases = {
	'a first connection has no attempt, the next ones count': async () => {
		const { node, roost, peer } = await meet();
		assert.equal(peer.url.searchParams.get('attempt'), null);
		peer.socket.close(1011);
		for (const n of ['1', '2']) {
			const again = await node.peer();
			assert.equal(again.url.searchParams.get('attempt'), n);
			again.welcome().socket.close(1013); // so short a life is no recovery
		}
		assert.deepEqual(roost.seen.close.map(({ code, reconnect }) => [code, reconnect]).slice(0, 2), [[1011, true], [1013, true]]);
		roost.close();
	},
	'its address keeps its query': async () => {
		const node = await Node.start();
		const roost = connect(node.address, {}, '/x?room=a&room=b');
		const peer = (await node.peer()).welcome();
		assert.equal(peer.url.pathname + peer.url.search, '/x?room=a&room=b');
		peer.socket.close(1011);
		assert.equal((await node.peer()).url.search, '?room=a&room=b&attempt=1');
		roost.close();
	},
	'a room in the address is heard without a join': async () => {
		const { roost, peer } = await meet({}, { rooms: ['a'] });
		peer.say(message('a', undefined, 'hi'));
		await until('it is heard', () => roost.seen.message.length === 1);
		roost.close();
	},
	'delays double with jitter, up to the most': async () => {
		const node = await Node.start();
		const roost = connect(node.address, { firstDelay: 8, maxDelay: 32, random: () => 0.5 });
		for (let i = 0; i < 5; i++) {
			(await node.peer()).socket.close(1011);
		}
		await until('it has lost five', () => roost.seen.close.length === 5);
		assert.deepEqual(roost.seen.close.map(({ delay }) => delay), [4, 8, 16, 16, 16]);
		roost.close();
	},
	'1001 waits as long as it was told': async () => {
		const { node, roost, peer } = await meet({ random: () => 0.2 });
		const begin = Date.now();
		peer.say({ type: 'shutdown', reconnectIn: 1 });
		peer.socket.close(1001);
		await node.peer();
		const took = Date.now() - begin;
		assert.ok(took >= 1190 && took < 3000, `came back after ${took} ms`);
		roost.close();
	},
	'4429 backs off for half a minute at least': async () => {
		const { roost, peer } = await meet({ random: () => 0 });
		peer.socket.close(4429);
		await until('it is lost', () => roost.state === 'waiting');
		assert.equal(roost.seen.close[0].delay, 30_000);
		roost.close();
		assert.equal(roost.state, 'closed');
	},
	'what it can not answer for it does not send twice': async () => {
		const { node, roost, peer, room } = await meetIn('a');
		const sent = room.publish(1);
		await peer.next('publish');
		peer.socket.terminate();
		assert.equal((await rejected(sent, 'disconnected')).sent, true);
		const held = room.publish(2);
		const again = (await node.peer()).welcome();
		await again.joined();
		const { data, id } = await again.next('publish');
		assert.equal(data, 2, 'the command that waited');
		again.say({ type: 'published', id, room: 'a' });
		assert.equal((await held).room, 'a');
		roost.close();
	},
	'few commands wait, and not for ever': async () => {
		const node = await Node.start();
		const roost = connect(node.address, { queue: 2, timeout: 300 });
		const waits = [roost.ping(), roost.join('a').publish(1)];
		await rejected(roost.ping(), 'queue_full');
		for (const error of [await rejected(waits[0], 'timeout'), await rejected(waits[1], 'timeout')]) {
			assert.equal(error.sent, false);
		}
		roost.close();
		await rejected(roost.ping(), 'closed');
	},
	'commands of a room wait for the room, in order': async () => {
		const { roost, peer } = await meet();
		const room = note(roost, 'a');
		const [one, two] = [room.publish(1), room.publish(2, { echo: false })];
		await peer.joined();
		for (const data of [1, 2]) {
			const command = await peer.next('publish');
			assert.equal(command.data, data);
			peer.say({ type: 'published', id: command.id, room: 'a' });
		}
		await Promise.all([one, two]);
		roost.close();
	},
	'a loss in a room with history is made up for': async () => {
		const { node, roost, peer, room } = await meetIn('a', { epoch: 'e', offset: 4 });
		peer.say(message('a', 5));
		await until('it is heard', () => room.seen.message.length === 1);
		peer.socket.terminate();
		const again = (await node.peer()).welcome();
		const { id, since } = await again.next('join');
		assert.deepEqual(since, { epoch: 'e', offset: 5 });
		// The next publication is in the same segment as the answer, as busy nodes have it.
		again.socket._socket.cork();
		again.say({ type: 'joined', id, room: 'a', epoch: 'e', offset: 7, recovered: true, messages: [message('a', 6), message('a', 7)] });
		again.say(message('a', 7));
		again.say(message('a', 8));
		again.socket._socket.uncork();
		await until('all is heard', () => room.seen.message.length === 4);
		assert.deepEqual(told(room), [5, 6, 7, 8]);
		assert.deepEqual(room.seen.recovered, [{ messages: 2 }]);
		assert.deepEqual([room.seen.gap.length, room.seen.joined.length], [0, 1]);
		roost.close();
	},
	'what can not be made up for is told': async () => {
		for (const answer of ['not recovered', 'unrecoverable', 'unavailable']) {
			const { node, roost, peer, room } = await meetIn('a', { epoch: 'e', offset: 4 });
			peer.socket.terminate();
			const again = (await node.peer()).welcome();
			if (answer === 'not recovered') {
				await again.joined({ epoch: 'f', offset: 9, recovered: false });
			} else {
				again.fail(await again.next('join'), answer);
				assert.equal((await again.joined({ epoch: 'f', offset: 9 })).since, undefined);
			}
			await until('the gap is told', () => room.seen.gap.length === 1);
			assert.deepEqual(room.seen.gap, [{ epoch: 'f', offset: 9 }]);
			assert.deepEqual(room.position, { epoch: 'f', offset: 9 });
			roost.close();
		}
	},
	'a loss in a room without history is told': async () => {
		const { node, roost, peer, room } = await meetIn('a');
		peer.socket.terminate();
		await (await node.peer()).welcome().joined();
		await until('the gap is told', () => room.seen.gap.length === 1);
		assert.equal(room.seen.recovered.length, 0);
		roost.close();
	},
	'a gap in a room with history is asked for, and what comes meanwhile waits': async () => {
		const { roost, peer, room } = await meetIn('a', { epoch: 'e', offset: 4 });
		peer.say({ type: 'gap', room: 'a', epoch: 'e', offset: 7 });
		peer.say(message('a', 8));
		const { id, since } = await peer.next('join');
		assert.deepEqual(since, { epoch: 'e', offset: 4 });
		assert.deepEqual(told(room), []);
		peer.say({ type: 'joined', id, room: 'a', epoch: 'e', offset: 8, recovered: true, messages: [5, 6, 7, 8].map((n) => message('a', n)) });
		peer.say(message('a', 9));
		await until('all is heard', () => room.seen.message.length === 5);
		assert.deepEqual(told(room), [5, 6, 7, 8, 9]);
		assert.deepEqual(room.seen.recovered, [{ messages: 4 }]);
		assert.equal(room.seen.gap.length, 0);

		peer.say({ type: 'gap', room: 'a', epoch: 'e', offset: 12 });
		peer.say(message('a', 13));
		peer.fail(await peer.next('join'), 'unavailable', { retry_after: 1000 });
		await until('the gap is told', () => room.seen.gap.length === 1);
		assert.deepEqual(told(room), [5, 6, 7, 8, 9, 13]);
		assert.deepEqual(room.position, { epoch: 'e', offset: 13 });
		roost.close();
	},
	'a gap in another epoch, or without one, is told': async () => {
		const { roost, peer, room } = await meetIn('a', { epoch: 'e', offset: 4 });
		peer.say({ type: 'gap', room: 'a', epoch: 'f', offset: 1 });
		peer.say(message('a', 2));
		await until('both are heard', () => room.seen.message.length === 1);
		assert.deepEqual(room.seen.gap, [{ epoch: 'f', offset: 1 }]);
		assert.equal(peer.commands.length, 1);
		roost.close();
	},
	'many rooms come back without a flood': async () => {
		const { node, roost, peer } = await meet({ random: () => 0 });
		const rooms = Array.from({ length: 30 }, (_, i) => note(roost, `r${i}`));
		let most = 0;
		let answered = 0;
		const answer = async (peer) => {
			while (answered < 30) {
				const open = peer.commands.length - answered;
				most = Math.max(most, open);
				await peer.joined();
				answered++;
			}
		};
		await answer(peer);
		await Promise.all(rooms.map((room) => room.joined));
		peer.socket.terminate();
		const again = (await node.peer()).welcome();
		await pause(100);
		assert.equal(again.commands.length, 8);
		const first = await again.next('join');
		const begin = Date.now();
		again.fail(first, 'rate_limited', { retry_after: 50 });
		for (let i = 0; i < 7; i++) {
			await again.joined();
		}
		const later = await again.next('join');
		assert.ok(Date.now() - begin >= 950, `asked again after ${Date.now() - begin} ms`);
		again.fail(later, 'forbidden');
		for (let i = 0; i < 22; i++) {
			await again.joined();
		}
		await until('the rest is joined', () => rooms.filter(({ state }) => state === 'joined').length === 29);
		const [refused] = rooms.filter(({ state }) => state === 'refused');
		assert.equal(refused.name, later.room);
		assert.equal(refused.seen.error[0].code, 'forbidden');
		assert.ok(most <= 8, `${most} joins at once`);
		await rejected(refused.publish(1), 'not_joined');
		roost.close();
	},
	'a join that is refused rejects, and a second try is a new one': async () => {
		const { roost, peer } = await meet();
		const room = note(roost, 'a');
		const publish = room.publish(1);
		peer.fail(await peer.next('join'), 'forbidden');
		await rejected(room.joined, 'forbidden');
		await rejected(publish, 'forbidden');
		const other = roost.join('a');
		assert.notEqual(other, room);
		await peer.joined();
		assert.equal(await other.joined, other);
		roost.close();
	},
	'leaving is final': async () => {
		const { node, roost, peer, room } = await meetIn('a');
		const leave = room.leave();
		const { id } = await peer.next('leave');
		peer.say({ type: 'left', id, room: 'a' });
		await leave;
		await rejected(room.publish(1), 'not_joined');
		const waits = roost.join('b');
		await peer.next('join');
		const left = waits.leave(); // before the answer
		const second = await peer.next('leave');
		peer.say({ type: 'left', id: second.id, room: 'b' });
		await left;
		await rejected(waits.joined, 'left');
		peer.socket.terminate();
		const again = (await node.peer()).welcome();
		const ping = roost.ping();
		again.say({ type: 'pong', id: (await again.next('ping')).id }); // and no join before it
		await ping;
		roost.close();
	},
	'a room that a new token does not cover is left': async () => {
		const { roost, peer, room } = await meetIn('a');
		peer.say({ type: 'left', room: 'a' });
		await until('it is told', () => room.seen.left.length === 1);
		assert.equal(room.state, 'left');
		roost.close();
	},
	'presence is told': async () => {
		const { roost, peer, room } = await meetIn('a');
		peer.say({ type: 'member_joined', room: 'a', user: 'x' });
		peer.say({ type: 'member_left', room: 'a', user: 'x' });
		await until('both are told', () => room.seen.presence.length === 2);
		assert.deepEqual(room.seen.presence, [{ user: 'x', joined: true }, { user: 'x', joined: false }]);
		roost.close();
	},
	'a token is asked for once, and again when it may be why': async () => {
		const node = await Node.start();
		let asked = 0;
		node.refusals = 5;
		const roost = connect(node.address, { token: async () => `t${++asked}`, firstDelay: 5, maxDelay: 5 });
		const peer = await node.peer();
		assert.equal(peer.token, 't3', 'a new one after the 2nd and the 4th refusal');
		peer.welcome();
		await until('it is open', () => roost.state === 'open');
		peer.socket.close(1011);
		const again = await node.peer();
		assert.equal(again.token, 't3');
		again.welcome({ expires: 1 });
		await until('it is open', () => roost.seen.open.length === 2);
		again.socket.close(1011);
		assert.equal((await node.peer()).token, 't4', 'the one before has ended');
		roost.close();
	},
	'4401 gets a token, and stops without a way to one': async () => {
		let asked = 0;
		const { node, roost, peer } = await meet({ token: () => `t${++asked}` });
		assert.equal(peer.token, 't1');
		peer.socket.close(4401);
		assert.equal((await node.peer()).token, 't2');
		roost.close();

		const other = await meet({ token: 'fixed' });
		other.peer.socket.close(4401);
		await until('it stops', () => other.roost.state === 'closed');
		assert.equal(other.roost.seen.error[0].code, 'stopped');
	},
	'a token callback that fails is told and tried again': async () => {
		const node = await Node.start();
		let asked = 0;
		const token = async () => {
			if (++asked === 1) {
				throw new Error('no network');
			}
			return 'good';
		};
		const roost = connect(node.address, { token });
		assert.equal((await node.peer()).token, 'good');
		assert.equal(roost.seen.error[0].code, 'token');
		assert.equal(roost.seen.error[0].cause.message, 'no network');
		roost.close();

		const mute = connect(node.address, { token: () => new Promise(() => {}), timeout: 100 });
		await until('it gives up waiting', () => mute.seen.close.length > 1);
		mute.close();

		const illegal = connect(node.address, { token: 'no, this is none' });
		await until('it stops', () => illegal.state === 'closed');
		assert.equal(illegal.seen.error[0].code, 'stopped');
	},
	'a token that ends is refreshed': async () => {
		let asked = 0;
		const { roost, peer } = await meet({ token: () => `t${++asked}`, random: () => 0 });
		peer.say({ type: 'expiring', in: 1 });
		const { id, token } = await peer.next('refresh');
		assert.equal(token, 't2');
		peer.say({ type: 'refreshed', id, expires: 1 });
		peer.say({ type: 'expiring', in: 1 });
		peer.fail(await peer.next('refresh'), 'unavailable');
		await until('it is told', () => roost.seen.error.length === 1);
		assert.equal(roost.seen.error[0].cause.code, 'unavailable');
		roost.close();
	},
	'a node that says nothing is asked, and then left': async () => {
		const { node, roost, peer } = await meet({ timeout: 300 }, { heartbeat: 0.1 });
		const { id } = await peer.next('ping');
		peer.say({ type: 'pong', id });
		await peer.next('ping');
		const again = await node.peer();
		assert.equal(roost.seen.close[0].code, 1006);
		assert.equal(again.url.searchParams.get('attempt'), '1');
		roost.close();
	},
	'a node without a welcome is left': async () => {
		const node = await Node.start();
		const roost = connect(node.address, { timeout: 100 });
		await node.peer();
		await node.peer();
		assert.equal(roost.seen.close[0].reason, 'no welcome in time');
		roost.close();
	},
	'errors of the node bear their code': async () => {
		const { roost, peer, room } = await meetIn('a');
		const publish = room.publish({ n: 1 });
		peer.fail(await peer.next('publish'), 'rate_limited', { retry_after: 700 });
		const error = await rejected(publish, 'rate_limited');
		assert.deepEqual([error.retryAfter, error.sent], [700, true]);
		peer.say({ type: 'error', code: 'internal', message: 'x' });
		peer.socket.send('not JSON');
		await until('both are told', () => roost.seen.error.length === 2);
		assert.deepEqual(roost.seen.error.map(({ code }) => code), ['internal', 'protocol']);
		await assert.rejects(room.publish(10n), TypeError);
		roost.close();
	},
	'closing and connecting anew': async () => {
		const { node, roost, peer, room } = await meetIn('a');
		const publish = room.publish(1);
		await peer.next('publish');
		roost.close();
		await rejected(publish, 'disconnected');
		assert.equal(roost.state, 'closed');
		roost.close();
		roost.connect();
		roost.connect();
		const again = (await node.peer()).welcome();
		assert.equal(again.url.searchParams.get('attempt'), null);
		await again.joined();
		await until('the room is back', () => room.state === 'joined');
		assert.deepEqual(roost.seen.close, [{ code: 1000, reason: '', reconnect: false, delay: undefined }]);
		roost.close();
		assert.equal(node.peers.length, 2);
	},
	'a listener may close, and one that throws stops nobody': async () => {
		const node = await Node.start();
		const roost = connect(node.address);
		roost.on('open', () => roost.close());
		(await node.peer()).welcome();
		await until('it is closed', () => roost.state === 'closed');
		await pause(100);
		assert.equal(node.peers.length, 1);

		const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
		const other = await meetIn('a');
		const off = other.room.on('message', () => {
			throw new Error('of a listener');
		});
		let heard = 0;
		other.room.on('message', () => heard++);
		other.peer.say(message('a'));
		assert.equal((await caught).message, 'of a listener');
		off();
		other.peer.say(message('a'));
		await until('both are heard', () => heard === 2);
		other.roost.close();
	},
};

for (const code of [1000, 4403, 4409]) {
	cases[`${code} stops`] = async () => {
		const { node, roost, peer } = await meet();
		peer.socket.close(code, 'because');
		await until('it is closed', () => roost.state === 'closed');
		await pause(150);
		assert.equal(node.peers.length, 1);
		assert.deepEqual(roost.seen.close, [{ code, reason: 'because', reconnect: false, delay: undefined }]);
		assert.deepEqual(roost.seen.error, []);
		await rejected(roost.ping(), 'closed');
	};
}
for (const code of [1002, 1003, 1007, 1008, 1009]) {
	cases[`${code} stops with an error`] = async () => {
		const { roost, peer } = await meet();
		peer.socket.close(code);
		await until('it is closed', () => roost.state === 'closed');
		assert.equal(roost.seen.error[0].code, 'stopped');
	};
}
for (const code of [1006, 1011, 1012, 1013, 4000, 4408]) {
	cases[`${code} comes back`] = async () => {
		const { node, roost, peer } = await meet();
		if (code === 1006) {
			peer.socket.terminate();
		} else {
			peer.socket.close(code);
		}
		(await node.peer()).welcome();
		await until('it is open', () => roost.state === 'open');
		assert.equal(roost.seen.close[0].code, code);
		assert.deepEqual(roost.seen.error, []);
		roost.close();
	};
}

await run(cases);
