// How a client gets in, and what keeps it out before the upgrade (auth.refuse=http).
import assert from 'node:assert/strict';
import { dial, enter, expectRefused } from '../kit/client.mjs';
import { node, run } from '../kit/suite.mjs';
import { refused, token } from '../kit/token.mjs';

const cases = {
	'roost.v1 and a token': async () => {
		const client = await dial('/ws', ['roost.v1', 'token.' + token('alice')]);
		assert.equal(client.ws.protocol, 'roost.v1');
		const welcome = await client.expect('welcome', { user: 'alice', heartbeat: 30 });
		assert.ok(welcome.connection && welcome.node && welcome.expires > Date.now() / 1000, JSON.stringify(welcome));
		await client.close();
	},
	'a token alone is echoed': async () => {
		const offered = 'token.' + token('alice');
		const client = await dial('/ws', [offered]);
		assert.equal(client.ws.protocol, offered);
		await client.expect('welcome', { user: 'alice' });
		await client.close();
	},
	'a token in Authorization': async () => {
		const client = await dial('/ws', ['roost.v1'], { headers: { Authorization: 'Bearer ' + token('sensor') } });
		await client.expect('welcome', { user: 'sensor' });
		await client.close();
	},
	'a token of roost token mint': async () => {
		const client = await dial('/ws?room=minted', ['roost.v1', 'token.' + process.env.ROOST_E2E_MINTED]);
		await client.expect('welcome', { user: 'minted' });
		await client.close();
	},
	'no subprotocol is selected if none was offered': async () => {
		const client = await dial('/', [], { headers: { Authorization: 'Bearer ' + token('sensor') } });
		assert.equal(client.ws.protocol, '');
		await client.expect('welcome', { user: 'sensor' });
		await client.close();
	},
	'rooms of the address are joined': async () => {
		const client = await enter('alice', '/ws?room=one&room=two');
		const rooms = client.welcome.rooms ?? [];
		// The rooms that the bus had to confirm first are told one by one.
		while (rooms.length < 2) {
			rooms.push((await client.expect('joined')).room);
		}
		assert.deepEqual(rooms.sort(), ['one', 'two']);
		await client.close();
	},
	'no token': () => expectRefused(401, '/ws', ['roost.v1']),
	'two tokens': () => expectRefused(400, '/ws', ['roost.v1', 'token.' + token('a'), 'token.' + token('b')]),
	'a token in the query is not looked at': () => expectRefused(401, '/ws?token=' + token('alice'), ['roost.v1']),
	'a room that the token does not allow': () =>
		expectRefused(403, '/ws?room=secret', ['roost.v1', 'token.' + token('alice', { rooms: ['public.*'] })]),
	'a page of another origin': () =>
		expectRefused(403, '/ws', ['roost.v1', 'token.' + token('alice')], { origin: 'https://elsewhere.example' }),
	'a page of an allowed origin': async () => {
		const client = await enter('alice', '/ws', {}, { origin: process.env.ROOST_E2E_ORIGIN });
		await client.close();
	},
	'no such path': () => expectRefused(404, '/nowhere', ['roost.v1', 'token.' + token('alice')]),
	'another version of WebSocket': async () => {
		const { headers } = await expectRefused(426, '/ws', ['roost.v1', 'token.' + token('alice')], { protocolVersion: 8 });
		assert.equal(headers['sec-websocket-version'], '13');
	},
	'health and readiness': async () => {
		for (const path of ['/healthz', '/readyz']) {
			assert.equal((await fetch(`http://${node}${path}`)).status, 200, path);
		}
	},
};

for (const [name, make] of Object.entries(refused)) {
	cases['a token ' + name] = async () => {
		await expectRefused(401, '/ws', ['roost.v1', 'token.' + make()]);
		await expectRefused(401, '/ws', ['token.' + make()]);
		await expectRefused(401, '/raw/room', [], { headers: { Authorization: 'Bearer ' + make() } });
	};
}

await run(cases);
