// What pages see under auth.refuse=http: of a refusal nothing but that it failed.
import assert from 'node:assert/strict';
import { attempt, enter, launch, leave, open, receive, send } from '../kit/browser.mjs';
import { pause, run } from '../kit/suite.mjs';
import { refused, token } from '../kit/token.mjs';

const browser = await launch();
const page = await open(browser, process.env.ROOST_E2E_ORIGIN);
const stranger = await open(browser, process.env.ROOST_E2E_OTHER_ORIGIN);

/** complaints are what Chromium writes to the console, where alone a refusal's status is to be seen. */
const complaints = { 401: 'HTTP Authentication failed', 403: 'Unexpected response code: 403' };

/** expectFailed wants an attempt to fail as every refused handshake does in a browser. */
async function expectFailed(page, protocols, status) {
	const [seen, complaint] = await Promise.all([attempt(page, protocols), page.waitForEvent('console', { timeout: 5000 })]);
	assert.deepEqual(seen, { opened: false, protocol: '', errors: 1, code: 1006, reason: '', wasClean: false });
	assert.ok(complaint.text().includes(complaints[status]), `the console says: ${complaint.text()}`);
}

const cases = {
	'roost.v1 and a token': async () => {
		const { protocol, first } = await enter(page, ['roost.v1', 'token.' + token('alice')]);
		assert.equal(protocol, 'roost.v1');
		assert.equal(first.type, 'welcome');
		assert.equal(first.user, 'alice');
		assert.deepEqual(await leave(page), { code: 1000, reason: '', wasClean: true });
	},
	'a token before roost.v1': async () => {
		const { protocol } = await enter(page, ['token.' + token('alice'), 'roost.v1']);
		assert.equal(protocol, 'roost.v1');
		await leave(page);
	},
	'a token alone is echoed': async () => {
		const offered = 'token.' + token('alice');
		const { protocol, first } = await enter(page, [offered]);
		assert.equal(protocol, offered);
		assert.equal(first.user, 'alice');
		await leave(page);
	},
	'no token': () => expectFailed(page, ['roost.v1'], 401),
	'a page of another origin': () => expectFailed(stranger, ['roost.v1', 'token.' + token('alice')], 403),
	'two pages talk in a room': async () => {
		const pages = { alice: await open(browser, process.env.ROOST_E2E_ORIGIN), bob: await open(browser, process.env.ROOST_E2E_ORIGIN) };
		for (const [user, page] of Object.entries(pages)) {
			await enter(page, ['roost.v1', 'token.' + token(user)]);
			await send(page, { type: 'join', room: 'pages', id: 1 });
			assert.equal((await receive(page)).type, 'joined');
		}
		for (const [user, text] of [['alice', 'grüße 👋'], ['bob', 'and back'], ['alice', 'bye']]) {
			await send(pages[user], { type: 'publish', room: 'pages', data: { text } });
			for (const page of Object.values(pages)) {
				const message = await receive(page);
				assert.deepEqual([message.type, message.room, message.from, message.data], ['message', 'pages', user, { text }]);
			}
		}
		await Promise.all(Object.values(pages).map((page) => page.close()));
	},
	'a close code is seen': async () => {
		await enter(page, ['roost.v1', 'token.' + token('alice')]);
		const end = await page.evaluate(() => {
			connection.socket.send(new Uint8Array([1, 2, 3]));
			return connection.closed;
		});
		assert.equal(end.code, 1003);
		assert.equal(end.wasClean, true);
	},
	'a browser answers heartbeats by itself': async () => {
		const { first } = await enter(page, ['roost.v1', 'token.' + token('alice')]);
		assert.equal(first.heartbeat, 1);
		await pause(3500); // without an answer it would be over after interval and timeout, 1 s and 2 s
		await send(page, { type: 'ping', id: 'here' });
		assert.deepEqual(await receive(page), { type: 'pong', id: 'here' });
		await leave(page);
	},
};

for (const [name, make] of Object.entries(refused)) {
	cases['a token ' + name] = async () => {
		await expectFailed(page, ['roost.v1', 'token.' + make()], 401);
		await expectFailed(page, ['token.' + make()], 401);
	};
}

await run(cases, () => browser.close());
