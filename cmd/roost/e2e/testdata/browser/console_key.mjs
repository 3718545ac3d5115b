// The console of a node whose API wants a key, and whose clients want tokens.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { launch } from '../kit/browser.mjs';
import { look } from '../kit/console.mjs';
import { run } from '../kit/suite.mjs';
import { token } from '../kit/token.mjs';

const browser = await launch();
const screenshots = process.env.ROOST_E2E_SCREENSHOTS;
const key = process.env.ROOST_E2E_KEY;

/** refusal is what Chromium writes about an answer of 401, whatever the page makes of it. */
const refusal = /401 \(Unauthorized\)/;

await run({
	'it asks for the key and keeps it in this tab': async () => {
		const { page, close, addresses } = await look(browser, {}, refusal);
		await page.locator('#key').waitFor();
		assert.match(await page.locator('#rooms').textContent(), /wants its key/);
		assert.equal(await page.locator('.card b').first().textContent(), '0');
		if (screenshots) {
			await page.screenshot({ path: join(screenshots, 'console-key.png'), fullPage: true });
		}
		await page.locator('#key-value').fill('not the key');
		await page.getByRole('button', { name: 'Use it' }).click();
		await page.getByText('does not take this key').waitFor();
		await page.locator('#key-value').fill(key);
		await page.getByRole('button', { name: 'Use it' }).click();
		await page.locator('#key').waitFor({ state: 'hidden' });
		await page.locator('#rooms').getByText('no rooms').waitFor();
		await page.reload();
		await page.locator('#rooms').getByText('no rooms').waitFor();
		assert.ok(!(await page.content()).includes(key));
		assert.ok(addresses.every((address) => !address.includes(key)), 'the key is in an address');
		assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), '{}');
		await close();
	},
	'its client says what may be wrong, and connects with a token': async () => {
		const { page, close } = await look(browser, {}, /401|HTTP Authentication failed/);
		await page.locator('#key-value').fill(key);
		await page.getByRole('button', { name: 'Use it' }).click();
		await page.waitForFunction(() => document.querySelector('#try-url').value !== '');
		const log = page.locator('#try-log');
		await page.getByRole('button', { name: 'Connect' }).click();
		await log.getByText('Does the node want a token').first().waitFor();
		await page.getByRole('button', { name: 'Disconnect' }).click();
		await page.locator('#try-token').fill(token('alice'));
		await page.getByRole('button', { name: 'Connect' }).click();
		await log.getByText('open as alice').waitFor();
		assert.ok(!(await log.textContent()).includes('eyJ'), 'the token is shown');
		await close();
	},
}, () => browser.close());
