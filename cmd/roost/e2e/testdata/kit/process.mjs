// roost processes that a script starts and ends itself, for what happens to clients when that happens.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { pause } from './suite.mjs';

/** environment has nothing of what this suite says to its scripts: to roost those would be unknown settings. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ROOST_E2E_')));

const started = new Set();
for (const end of ['SIGTERM', 'SIGINT']) {
	process.on(end, () => process.exit(1));
}
process.on('exit', () => started.forEach((child) => child.kill('SIGKILL')));

/** freeAddress is a loopback address that nobody listened on a moment ago. */
export function freeAddress() {
	return new Promise((resolve, reject) => {
		const server = createServer().on('error', reject);
		server.listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(`127.0.0.1:${port}`));
		});
	});
}

/** serve starts roost serve with settings at an address, and resolves when it is ready. */
export async function serve(address, ...settings) {
	const admin = await freeAddress();
	const flags = [`listen=${address}`, `admin.listen=${admin}`, ...settings].map((setting) => '--' + setting);
	const child = spawn(process.env.ROOST_E2E_PROGRAM, ['serve', ...flags], { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
	started.add(child);
	const ended = new Promise((resolve) => child.on('exit', (code) => started.delete(child) && resolve(code)));
	for (let i = 0; i < 200; i++) {
		await pause(20);
		const ready = await fetch(`http://${address}/readyz`).catch(() => ({ status: 0 }));
		if (ready.status === 200) {
			return { address, admin, ended, end: (signal) => child.kill(signal) };
		}
	}
	throw new Error('roost serve is not ready after 4 s');
}
