// SIGTERM: not ready, no new connections, and every client is told when to come back and closed with 1001.
import assert from 'node:assert/strict';
import { dial, enter, expectRefused } from '../kit/client.mjs';
import { node, pause, run } from '../kit/suite.mjs';
import { token } from '../kit/token.mjs';

await run({
	'clients are sent away in order': async () => {
		const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => enter(`user${i}`)));
		const bare = await dial('/raw/room', ['token.' + token('sensor')]);
		process.kill(Number(process.env.ROOST_E2E_PID), 'SIGTERM');

		// The grace before the first client is sent away is long enough to see this.
		let ready = 200;
		for (let i = 0; i < 50 && ready === 200; i++) {
			await pause(10);
			ready = (await fetch(`http://${node}/readyz`)).status;
		}
		assert.equal(ready, 404, 'status of /readyz');
		assert.equal((await fetch(`http://${node}/healthz`)).status, 200, 'status of /healthz');
		const { headers } = await expectRefused(503, '/ws', ['roost.v1', 'token.' + token('late')]);
		assert.ok(Number(headers['retry-after']) > 0, 'Retry-After of the 503');

		// An answered publish is delivered, a drain or not.
		const [alice, bob] = clients;
		await Promise.all([alice.join('last'), bob.join('last')]);
		alice.send({ type: 'publish', room: 'last', id: 1, echo: false, data: 'words' });
		await alice.expect('published', { id: 1 });
		await bob.expect('message', { data: 'words' });

		const delays = new Set();
		for (const client of clients) {
			const { reconnectIn } = await client.expect('shutdown');
			assert.ok(reconnectIn >= 10 && reconnectIn <= 20, `reconnectIn ${reconnectIn}`);
			delays.add(reconnectIn);
			await client.expectClose(1001);
		}
		assert.ok(delays.size > 1, 'everybody was told the same moment to come back');
		await bare.expectClose(1001);
	},
});
