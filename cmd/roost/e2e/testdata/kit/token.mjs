// Signs tokens (RFC 7519, HS256) without any code of roost's, as somebody's backend would.
import { createHmac } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** token signs claims; a user alone may everything for a minute. */
export function token(user, claims = {}, secret = process.env.ROOST_AUTH_HMAC_SECRET) {
	const all = { sub: user, exp: Math.floor(Date.now() / 1000) + 60, rooms: ['**'], ...claims };
	const signed = encode({ alg: 'HS256', typ: 'JWT' }) + '.' + encode(all);
	return signed + '.' + createHmac('sha256', secret).update(signed).digest('base64url');
}

/** refused are the ways in which a token can be no good, each with one of its kind. */
export const refused = {
	'not a token': () => 'abc',
	'signed by somebody else': () => token('mallory', {}, 'another secret that is as long as it has to be'),
	// Past the largest leeway that can be configured.
	expired: () => token('alice', { exp: Math.floor(Date.now() / 1000) - 60 }),
	'without a user': () => token(undefined),
};
