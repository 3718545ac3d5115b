// The console of a node in --dev, and its client in a page of another origin.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { launch } from '../kit/browser.mjs';
import { dial } from '../kit/client.mjs';
import { look, watch } from '../kit/console.mjs';
import { admin, node, run } from '../kit/suite.mjs';

const browser = await launch();
const screenshots = process.env.ROOST_E2E_SCREENSHOTS;

const enter = async (path) => {
	const client = await dial(path, ['roost.v1']);
	await client.expect('welcome');
	return client;
};
const clients = await Promise.all(Array.from({ length: 12 }, (_, i) => enter(`/ws?room=stage&room=side.${i % 4}&attempt=${i % 2}`)));
const talk = setInterval(() => clients[0].send({ type: 'publish', room: 'stage', data: 'x'.repeat(100) }), 50);
const leaver = await enter('/ws');
await leaver.close();

/** figure resolves to the n-th figure of a card once it is not what it was. */
const figure = (page, title, n = 0) =>
	page.locator('.card', { hasText: title }).locator('.figure b').nth(n).filter({ hasNotText: /^–$/ }).textContent();

await run({
	'it shows the node': async () => {
		const { page, close } = await look(browser);
		assert.match(await page.locator('#ready').textContent(), /ready/);
		assert.ok((await page.locator('#node').textContent()).length > 0);
		await page.locator('.card', { hasText: 'Live connections' }).locator('b').getByText('12', { exact: true }).waitFor();
		for (const [title, n, pattern] of [
			['Messages a second', 0, /^\d/],
			['Messages a second', 1, /^\d/],
			['Bytes a second', 1, /B$/],
			['Reconnects', 0, /^\d/],
			['Memory a connection', 0, /B$/],
			['Memory a connection', 1, /B$/],
			['Ping round trip', 0, /s$/],
			["Loops' lag", 1, /s$/],
			['Delivery', 0, /s$/],
			['Forecast', 0, /./],
		]) {
			assert.match(await figure(page, title, n), pattern, title);
		}
		await page.locator('#closes').getByText('normal').waitFor();
		const rooms = page.locator('#rooms tbody tr');
		await rooms.first().getByText('stage').waitFor();
		assert.match(await rooms.first().textContent(), /stage12/);
		assert.equal(await rooms.count(), 5);
		assert.match(await page.locator('.card', { hasText: 'Forecast' }).textContent(), /room for [\d,]+ \(limit: \w+\)/);
		await close();
	},
	'its client joins, publishes and hears': async () => {
		const { page, close } = await look(browser);
		await page.locator('#rooms tbody tr', { hasText: 'side.0' }).getByRole('button').click(); // before there is a connection
		await page.getByRole('button', { name: 'Connect' }).click();
		const log = page.locator('#try-log');
		await log.getByText('open as anonymous').waitFor();
		await log.getByText('joined').waitFor();
		await page.locator('#try-data').fill('{"n": [1, "<b>2"]}');
		await page.getByRole('button', { name: 'Publish' }).click();
		await log.getByText('anonymous: {"n":[1,"<b>2"]}').waitFor();
		await page.locator('#try-room').fill('elsewhere');
		await page.getByRole('button', { name: 'Publish' }).click();
		await log.getByText('not_joined').waitFor();
		await page.getByRole('button', { name: 'side.0 ×' }).click();
		await log.getByText('left').waitFor();
		await page.getByRole('button', { name: 'Disconnect' }).click();
		await log.getByText('closed: 1000').waitFor();
		assert.equal(await page.locator('#try-state').textContent(), 'closed');
		await close();
	},
	'it fits wide and narrow, light and dark': async () => {
		const { page, close } = await look(browser);
		await page.locator('#rooms').getByText('stage').waitFor();
		await page.waitForFunction(() => document.querySelector('.card:nth-child(2) path.first').getAttribute('d').split('L').length > 2);
		for (const colorScheme of ['light', 'dark']) {
			for (const [width, height] of [[1280, 800], [800, 800], [390, 844]]) {
				await page.emulateMedia({ colorScheme });
				await page.setViewportSize({ width, height });
				const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				assert.ok(overflow <= 0, `${overflow} pixels too wide at ${width}`);
				if (screenshots) {
					await page.screenshot({ path: join(screenshots, `console-${colorScheme}-${width}.png`), fullPage: true });
				}
			}
		}
		await close();
	},
	'its theme can be chosen and stays': async () => {
		const { page, close } = await look(browser, { colorScheme: 'light' });
		const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		const light = await ground();
		await page.locator('#theme').click();
		assert.equal(await ground(), light);
		await page.locator('#theme').click();
		assert.notEqual(await ground(), light);
		await page.reload();
		assert.notEqual(await ground(), light);
		assert.equal(await page.locator('#theme').textContent(), 'theme: dark');
		await close();
	},
	'a page of another origin loads the client from here': async () => {
		const page = await browser.newPage();
		await page.goto(process.env.ROOST_E2E_ORIGIN);
		const complaints = watch(page);
		const heard = await page.evaluate(
			async ({ module, url }) => {
				const { Roost } = await import(module);
				window.roost = new Roost(url, { firstDelay: 600_000, maxDelay: 600_000, random: () => 1 });
				return new Promise((resolve, reject) => {
					const room = roost.join('pages', { onMessage: ({ data }) => resolve(data) });
					room.publish({ text: 'grüße 👋' }).catch(reject);
				});
			},
			{ module: `http://${admin}/roost.js`, url: `ws://${node}/ws` },
		);
		assert.deepEqual(heard, { text: 'grüße 👋' });

		// It would come back after ten minutes, but for what the browser tells it.
		for (const [target, event] of [['window', 'online'], ['document', 'visibilitychange']]) {
			const connection = await page.evaluate(() => roost.welcome.connection);
			await fetch(`http://${admin}/api/disconnect`, {
				method: 'POST',
				headers: { 'Content-Type': 'application/json' },
				body: JSON.stringify({ connection, code: 1011 }),
			});
			await page.waitForFunction(() => roost.state === 'waiting');
			await page.evaluate(({ target, event }) => globalThis[target].dispatchEvent(new Event(event)), { target, event });
			await page.waitForFunction(() => roost.state === 'open');
		}
		assert.deepEqual(complaints, []);
		await page.close();
	},
}, async () => {
	clearInterval(talk);
	await browser.close();
});
