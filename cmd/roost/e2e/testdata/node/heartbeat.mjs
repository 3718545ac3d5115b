// Heartbeats of a second: who answers stays, who does not is closed.
import assert from 'node:assert/strict';
import { enter } from '../kit/client.mjs';
import { pause, run } from '../kit/suite.mjs';

/** enough is three heartbeats, and long enough for a silent client to be over (interval 1 s and timeout 2 s). */
const enough = 3500;

await run({
	'pings are answered, or the connection ends with 4408': async () => {
		const [lively, mute] = [await enter('lively'), await enter('mute', '/ws', {}, { autoPong: false })];
		assert.equal(lively.welcome.heartbeat, 1);
		let pings = 0;
		lively.ws.on('ping', () => pings++);
		await Promise.all([mute.expectClose(4408), pause(enough)]);
		assert.ok(pings >= 2 && pings <= 4, `${pings} pings in ${enough} ms`);
		await lively.quiet();
		await lively.close();
	},
});
