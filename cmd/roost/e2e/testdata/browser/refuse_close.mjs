// What pages see under auth.refuse=close: why a token was refused.
import assert from 'node:assert/strict';
import { attempt, enter, launch, leave, open } from '../kit/browser.mjs';
import { run } from '../kit/suite.mjs';
import { refused, token } from '../kit/token.mjs';

const browser = await launch();
const page = await open(browser, process.env.ROOST_E2E_ORIGIN);

/** expectTold wants an attempt to have ended with a code that the page can act on. */
function expectTold(seen, protocol) {
	assert.equal(seen.code, 4401, JSON.stringify(seen));
	assert.equal(seen.wasClean, true, JSON.stringify(seen));
	assert.equal(seen.errors, 0, JSON.stringify(seen));
	assert.equal(seen.opened, true, JSON.stringify(seen));
	assert.equal(seen.protocol, protocol);
}

const cases = {
	'a good token': async () => {
		const { protocol } = await enter(page, ['roost.v1', 'token.' + token('alice')]);
		assert.equal(protocol, 'roost.v1');
		await leave(page);
	},
	'no token': async () => expectTold(await attempt(page, ['roost.v1']), 'roost.v1'),
};

for (const [name, make] of Object.entries(refused)) {
	cases['a token ' + name] = async () => {
		const offered = 'token.' + make();
		expectTold(await attempt(page, ['roost.v1', offered]), 'roost.v1');
		expectTold(await attempt(page, [offered]), offered);
	};
}

await run(cases, () => browser.close());
