// roost serve --dev: nobody needs a token, any page may connect, and everybody may everything.
import { dial } from '../kit/client.mjs';
import { run } from '../kit/suite.mjs';

const enter = async (options) => {
	const client = await dial('/ws', ['roost.v1'], options);
	await client.expect('welcome', { user: 'anonymous' });
	return client;
};

await run({
	'two strangers talk': async () => {
		const [a, b] = [await enter(), await enter({ origin: 'https://anywhere.example' })];
		await a.join('lobby');
		await b.join('lobby');
		a.send({ type: 'publish', room: 'lobby', id: 1, echo: false, data: 'hello' });
		await a.expect('published', { id: 1 });
		await b.expect('message', { room: 'lobby', data: 'hello' });
		await Promise.all([a.close(), b.close()]);
	},
});
