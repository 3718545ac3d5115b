// The client as a package: by its name, as bundlers and Node find it.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { clientFolder, Roost } from '../kit/roost.mjs';
import { run } from '../kit/suite.mjs';

await run({
	'it is found by its name': async () => {
		const app = process.env.TMPDIR;
		mkdirSync(join(app, 'node_modules/@roost-ws'), { recursive: true });
		symlinkSync(fileURLToPath(clientFolder), join(app, 'node_modules/@roost-ws/client'));
		const main = join(app, 'main.mjs');
		writeFileSync(main, "export { default, Roost, RoostError } from '@roost-ws/client';\n");
		const names = await import(pathToFileURL(main).href);
		assert.equal(names.default, names.Roost);
		assert.equal(names.Roost, Roost);
		assert.deepEqual(Object.keys(names).sort(), ['Roost', 'RoostError', 'default']);
	},
	'its types name all that it has': async () => {
		const types = readFileSync(new URL('roost.d.ts', clientFolder), 'utf8');
		const roost = new Roost('ws://127.0.0.1:1/', { WebSocket: class { close() {} } });
		const room = roost.join('a');
		const names = (object) => [...Object.getOwnPropertyNames(Object.getPrototypeOf(object)), 'on'];
		for (const name of [...names(roost), ...names(room)]) {
			assert.match(types, new RegExp(`^\\t(readonly )?${name}[?<(:]`, 'm'), name);
		}
		roost.close();
	},
	'it leaves the global object alone, and says what it lacks': async () => {
		const before = Object.getOwnPropertyNames(globalThis);
		await import(new URL('roost.js?again', clientFolder).href);
		assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
		const here = globalThis.WebSocket;
		globalThis.WebSocket = undefined;
		assert.throws(() => new Roost('ws://127.0.0.1:1/'), /pass one as an option/);
		globalThis.WebSocket = here;
		assert.throws(() => new Roost('no address'), TypeError);
	},
});
