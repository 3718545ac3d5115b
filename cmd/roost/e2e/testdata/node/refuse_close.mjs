// A bad token under auth.refuse=close: the upgrade succeeds, and the close code says why it ends.
import assert from 'node:assert/strict';
import { dial, enter } from '../kit/client.mjs';
import { run } from '../kit/suite.mjs';
import { refused } from '../kit/token.mjs';

const cases = {
	'no token': async () => {
		const client = await dial('/ws', ['roost.v1']);
		assert.equal(client.ws.protocol, 'roost.v1');
		await client.expectClose(4401);
	},
	'a good token': async () => {
		const client = await enter('alice');
		await client.close();
	},
};

for (const [name, make] of Object.entries(refused)) {
	cases['a token ' + name] = async () => {
		const offered = 'token.' + make();
		await (await dial('/ws', ['roost.v1', offered])).expectClose(4401);
		const alone = await dial('/ws', [offered]);
		assert.equal(alone.ws.protocol, offered);
		await alone.expectClose(4401);
	};
}

await run(cases);
