// What every script ends with: run the cases one after the other and tell the Go test how each went, as a line of
// JSON. What a script prints besides goes to standard error, so that nothing spoils those lines.

/** caseLimit is above any case's need, so that what hangs is named instead of running into the Go test's limit. */
const caseLimit = 10_000;

/** node is the address of the roost under test, as host:port. */
export const node = process.env.ROOST_E2E_ADDRESS;

/** admin is its operator's port. */
export const admin = process.env.ROOST_E2E_ADMIN;

/** run runs cases, an object of names and async functions, then after, and exits with 0 if it could tell of all. */
export async function run(cases, after = async () => {}) {
	for (const [name, body] of Object.entries(cases)) {
		let error = '';
		let timer;
		const late = new Promise((_, reject) => {
			timer = setTimeout(() => reject(new Error(`not over after ${caseLimit} ms`)), caseLimit);
		});
		try {
			await Promise.race([body(), late]);
		} catch (e) {
			error = e.stack ?? String(e);
		}
		clearTimeout(timer);
		process.stdout.write(JSON.stringify({ name, error }) + '\n');
	}
	await after();
	// A socket that a failed case left open would keep the process alive.
	process.stdout.write('', () => process.exit(0));
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
