// Frames and messages: what ws sends in ways of its own, and what no client may send.
import assert from 'node:assert/strict';
import { enter } from '../kit/client.mjs';
import { run } from '../kit/suite.mjs';

const limit = 64 * 1024; // limits.message_bytes

/** publication is a publish command of exactly that many bytes, and its data. */
function publication(room, bytes) {
	const empty = JSON.stringify({ type: 'publish', room, echo: false, data: '' });
	const data = 'x'.repeat(bytes - empty.length);
	return { text: JSON.stringify({ type: 'publish', room, echo: false, data }), data };
}

/** illegal are byte sequences that end a connection with 1002, written past ws. */
const illegal = {
	'a frame without a mask': [0x81, 0x02, 0x7b, 0x7d],
	'a reserved bit': [0xc1, 0x80, 1, 2, 3, 4],
	'a reserved opcode': [0x83, 0x80, 1, 2, 3, 4],
	'a fragmented ping': [0x09, 0x80, 1, 2, 3, 4],
	'a continuation of nothing': [0x80, 0x80, 1, 2, 3, 4],
	'a close of one byte': [0x88, 0x81, 0, 0, 0, 0, 3],
};

const cases = {
	'a message in three frames with a ping between them': async () => {
		const alice = await enter('alice');
		await alice.join('parts');
		const pong = new Promise((resolve) => alice.ws.once('pong', (data) => resolve(data.toString())));
		const text = JSON.stringify({ type: 'publish', room: 'parts', data: 'grüße' });
		const cut = Buffer.byteLength(text.slice(0, text.indexOf('ü'))) + 1; // in the middle of a character
		const bytes = Buffer.from(text);
		alice.ws.send(bytes.subarray(0, 5), { binary: false, fin: false });
		alice.ws.send(bytes.subarray(5, cut), { binary: false, fin: false });
		alice.ws.ping('between');
		alice.ws.send(bytes.subarray(cut), { binary: false, fin: true });
		await alice.expect('message', { room: 'parts', data: 'grüße' });
		assert.equal(await pong, 'between');
		await alice.close();
	},
	'the largest message': async () => {
		const [alice, bob] = [await enter('alice'), await enter('bob')];
		await alice.join('large');
		await bob.join('large');
		const { text, data } = publication('large', limit);
		assert.equal(text.length, limit);
		alice.ws.send(text);
		const message = await bob.expect('message');
		assert.ok(message.data === data, `${message.data.length} bytes of ${data.length}`);
		await Promise.all([alice.close(), bob.close()]);
	},
	'one byte more': async () => {
		const alice = await enter('alice');
		alice.ws.send(publication('large', limit + 1).text);
		await alice.expectClose(1009);
	},
	'one byte more, in frames that are small enough': async () => {
		const alice = await enter('alice');
		const { text } = publication('large', limit + 1);
		alice.ws.send(text.slice(0, limit / 2), { fin: false });
		alice.ws.send(text.slice(limit / 2), { fin: true });
		await alice.expectClose(1009);
	},
	'binary is no JSON': async () => {
		const alice = await enter('alice');
		alice.ws.send(Buffer.from('{"type":"ping"}'), { binary: true });
		await alice.expectClose(1003);
	},
	'text that is not UTF-8': async () => {
		const alice = await enter('alice');
		alice.ws.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false });
		await alice.expectClose(1007);
	},
	'a close is answered with its code': async () => {
		const alice = await enter('alice');
		alice.ws.close(3999, 'done here');
		await alice.expectClose(3999);
	},
};

for (const [name, bytes] of Object.entries(illegal)) {
	cases[name] = async () => {
		const [alice, bob] = [await enter('alice'), await enter('bob')];
		alice.ws._socket.write(Buffer.from(bytes));
		await alice.expectClose(1002);
		await bob.quiet();
		await bob.close();
	};
}

await run(cases);
