// Headless Chromium, and pages in it that open WebSockets with the code of browser/page.html.
import { loadPlaywright } from './packages.mjs';
import { node } from './suite.mjs';

/** launch starts the browser with a new profile; no test asks for anything but this machine. */
export function launch() {
	return loadPlaywright().chromium.launch({
		executablePath: process.env.ROOST_E2E_CHROMIUM,
		headless: true,
		args: [
			'--no-sandbox', // continuous integration runs as root
			'--disable-gpu',
			'--disable-quic',
			'--no-first-run',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
			'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
		],
	});
}

/** open opens the test page as served by origin. */
export async function open(browser, origin) {
	const page = await browser.newPage();
	await page.goto(origin);
	return page;
}

/** attempt opens a WebSocket and waits for its end; it resolves to all that the page saw. */
export function attempt(page, protocols) {
	return page.evaluate(
		async ({ url, protocols }) => {
			const seen = await dial(url, protocols);
			const end = await seen.closed;
			return { opened: seen.opened, protocol: seen.protocol, errors: seen.errors, ...end };
		},
		{ url: `ws://${node}/ws`, protocols },
	);
}

/** enter opens a WebSocket that stays, as connection of the page; it resolves to its protocol and first message. */
export function enter(page, protocols, path = '/ws') {
	return page.evaluate(
		async ({ url, protocols }) => {
			const seen = await dial(url, protocols);
			if (!seen.opened) {
				throw new Error(`closed with ${(await seen.closed).code} instead of opening`);
			}
			window.connection = seen;
			return { protocol: seen.protocol, first: await next(seen) };
		},
		{ url: `ws://${node}${path}`, protocols },
	);
}

/** send sends a command on the page's connection. */
export const send = (page, command) => page.evaluate((text) => connection.socket.send(text), JSON.stringify(command));

/** receive resolves to the next message of the page's connection. */
export const receive = (page) => page.evaluate(() => next(connection));

/** leave closes the page's connection and resolves to how it ended. */
export const leave = (page) =>
	page.evaluate(() => {
		connection.socket.close(1000);
		return connection.closed;
	});
