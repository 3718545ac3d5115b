// wss through a balancer: ws from an address of its own, and Chromium. The nodes behind it know both by address.
import assert from 'node:assert/strict';
import { launch } from '../kit/browser.mjs';
import { Client } from '../kit/client.mjs';
import { WebSocket } from '../kit/packages.mjs';
import { node, run } from '../kit/suite.mjs';

const protocols = ['roost.v1', 'token.' + process.env.ROOST_E2E_MINTED];
const url = `wss://${node}/ws?room=canary-room`;
const admins = JSON.parse(process.env.ROOST_E2E_ADMINS);

/** address is what the node that a welcome came from knows of the client. */
async function address({ node, user, connection }) {
	const answer = await fetch(`http://${admins[node]}/api/users/${user}`);
	const { connections } = await answer.json();
	return connections.find((c) => c.connection === connection)?.address;
}

/** enter opens a connection from a local address. */
async function enter(localAddress, headers) {
	const client = new Client(new WebSocket(url, protocols, { localAddress, headers }));
	const welcome = await client.expect('welcome', { user: 'canary-user' });
	return Object.assign(client, { welcome });
}

const cases = {
	'ws from an address of its own': async () => {
		const client = await enter('127.0.0.77');
		assert.equal(client.ws.protocol, 'roost.v1');
		client.send({ type: 'publish', room: 'canary-room', data: 'through the balancer' });
		await client.expect('message', { room: 'canary-room', data: 'through the balancer' });
		assert.equal(await address(client.welcome), '127.0.0.77');
		await client.close();
	},
	'a client that claims another address': async () => {
		const client = await enter('127.0.0.78', { 'X-Forwarded-For': '192.0.2.1', Forwarded: 'for=192.0.2.2' });
		assert.equal(await address(client.welcome), '127.0.0.78');
		await client.close();
	},
};

const browser = await launch();
cases.Chromium = async () => {
	const page = await browser.newPage({ ignoreHTTPSErrors: true });
	await page.goto(process.env.ROOST_E2E_ORIGIN);
	const seen = await page.evaluate(
		async ({ url, protocols }) => {
			const seen = await dial(url, protocols);
			const welcome = await next(seen);
			seen.socket.send(JSON.stringify({ type: 'publish', room: 'canary-room', data: 'from a page' }));
			const message = await next(seen);
			seen.socket.close(1000);
			const { code } = await seen.closed;
			return { protocol: seen.protocol, welcome, message, code };
		},
		{ url, protocols },
	);
	assert.equal(seen.protocol, 'roost.v1');
	assert.equal(seen.welcome.type, 'welcome');
	assert.equal(seen.message.data, 'from a page');
	assert.equal(seen.code, 1000);
};

await run(cases, () => browser.close());
