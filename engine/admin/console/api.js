// Asks the node: /metrics is open, /api/ may want the key.

const STORED = 'roost.key';

/** Refusal is an answer of the API that is no 2xx. */
export class Refusal extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

export const hasKey = () => sessionStorage.getItem(STORED) !== null;
export const keepKey = (key) => sessionStorage.setItem(STORED, key);
export const forgetKey = () => sessionStorage.removeItem(STORED);

async function ask(path, headers) {
	return fetch(path, { headers, signal: AbortSignal.timeout(10_000), credentials: 'omit', redirect: 'error' });
}

/** The text of an open route, with its status. */
export async function open(path) {
	const response = await ask(path, {});
	return { status: response.status, text: await response.text() };
}

/** The JSON of a guarded route. */
export async function guarded(path) {
	const key = sessionStorage.getItem(STORED);
	const response = await ask(path, key === null ? {} : { Authorization: `Bearer ${key}` });
	const body = await response.json();
	if (!response.ok) {
		throw new Refusal(response.status, body.error?.message ?? `status ${response.status}`);
	}
	return body;
}
