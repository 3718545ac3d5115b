// The console in a page, with an ear for what the browser complains about.
import assert from 'node:assert/strict';
import { admin } from './suite.mjs';

/** watch returns the list of what goes wrong in a page from now on: errors, warnings, violations of its policy. */
export function watch(page, expected = /^$/) {
	const complaints = [];
	page.on('pageerror', (error) => complaints.push(error.stack));
	page.on('console', (message) => {
		if (['error', 'warning'].includes(message.type()) && !expected.test(message.text())) {
			complaints.push(message.text());
		}
	});
	return complaints;
}

/** look opens the console. close makes sure that the browser had nothing to complain about but what was expected. */
export async function look(browser, options = {}, expected) {
	const context = await browser.newContext(options);
	const page = await context.newPage();
	page.setDefaultTimeout(8000);
	const complaints = watch(page, expected);
	const addresses = [];
	page.on('request', (request) => addresses.push(request.url()));
	await page.goto(`http://${admin}/`);
	await page.locator('#updated').filter({ hasText: 'as of' }).waitFor();
	return {
		page,
		addresses,
		async close() {
			await context.close();
			assert.deepEqual(complaints, []);
			assert.ok(addresses.every((address) => new URL(address).host === admin), 'the page asks others than its node');
		},
	};
}
