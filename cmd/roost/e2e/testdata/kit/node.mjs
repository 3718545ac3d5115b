// A node made of words: it says what a test tells it to, for what a real one says only when something breaks.
import { once } from 'node:events';
import { WebSocketServer } from './packages.mjs';
import { until } from './roost.mjs';

/** Peer is one connection, seen from the node. */
class Peer {
	commands = [];
	#taken = 0;

	constructor(socket, request) {
		this.socket = socket;
		this.url = new URL(request.url, 'ws://node');
		this.token = request.headers['sec-websocket-protocol'].split(/, ?/).find((p) => p.startsWith('token.'))?.slice(6);
		socket.on('message', (text) => this.commands.push(JSON.parse(text)));
	}

	say(message) {
		this.socket.send(JSON.stringify(message));
	}

	welcome(fields = {}) {
		this.say({ type: 'welcome', connection: 'c', user: 'u', node: 'n', heartbeat: 30, ...fields });
		return this;
	}

	/** next resolves to the next command, which must be of that type. */
	async next(type) {
		const command = await until(`a ${type} comes`, () => this.commands[this.#taken]);
		this.#taken++;
		if (command.type !== type) {
			throw new Error(`${JSON.stringify(command)} instead of a ${type}`);
		}
		return command;
	}

	/** joined answers the next join. */
	async joined(fields = {}) {
		const { id, room, since } = await this.next('join');
		this.say({ type: 'joined', id, room, ...fields });
		return { room, since };
	}

	/** fail answers a command with an error. */
	fail({ id }, code, more = {}) {
		this.say({ type: 'error', id, code, message: 'as the test wants', ...more });
	}
}

/** Node listens; connections wait in order until they are asked for. */
export class Node {
	peers = [];
	refusals = 0; // how many of the next handshakes are answered 401
	#taken = 0;

	static async start() {
		const node = new Node();
		node.server = new WebSocketServer({
			port: 0,
			host: '127.0.0.1',
			handleProtocols: () => 'roost.v1',
			verifyClient: (_, answer) => (node.refusals > 0 ? (node.refusals--, answer(false, 401)) : answer(true)),
		});
		node.server.on('connection', (socket, request) => node.peers.push(new Peer(socket, request)));
		await once(node.server, 'listening');
		node.address = `127.0.0.1:${node.server.address().port}`;
		return node;
	}

	/** peer resolves to the next connection. */
	async peer() {
		const peer = await until('a connection comes', () => this.peers[this.#taken]);
		this.#taken++;
		return peer;
	}
}
