// Types of roost.js, the client for roost: what each option, method and event is.

/** Anything like the WebSocket of browsers: the global one, or that of the npm package ws. */
export type WebSocketClass = new (url: string, protocols: string[]) => {
	onmessage: ((event: any) => void) | null;
	onclose: ((event: any) => void) | null;
	onerror: ((event: any) => void) | null;
	send(text: string): void;
	close(code?: number): void;
};

export interface Options {
	/**
	 * The token, or how to get one. A function is asked for the first connection, and again when the token has ended or
	 * is about to, was refused (4401), or may be why a handshake failed; in between its answer is kept. Nothing or an
	 * empty string connects without one.
	 */
	token?: string | (() => string | undefined | Promise<string | undefined>);
	/** The class to connect with; the global WebSocket unless given. Node before 22 has none. */
	WebSocket?: WebSocketClass;
	/** Milliseconds for a handshake with its token, and for an answer. 10000 unless given. */
	timeout?: number;
	/**
	 * How many commands may wait for a connection or for their room; one more is refused with queue_full. 10 unless
	 * given, as many as a node takes at once with its own default rate. 0: none waits.
	 */
	queue?: number;
	/** Milliseconds below which the first reconnect happens; it doubles with each failure. 1000 unless given. */
	firstDelay?: number;
	/** Milliseconds that it doubles up to. 30000 unless given. */
	maxDelay?: number;
	/** Where jitter comes from, for tests: a number from 0 up to 1. */
	random?: () => number;
}

/**
 * - connecting: a handshake is under way
 * - open: the node has said welcome
 * - waiting: the connection was lost, and there is a time to come back
 * - closed: by close(), or by a close code after which a client should not come back
 */
export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/** Where in a room's stream something stands. Rooms without history have none. */
export interface Position {
	epoch: string;
	offset: number;
}

export interface Message<Data = any> {
	room: string;
	data: Data;
	/** The user who published it; a backend's publication has none. */
	from?: string;
	/** Its place in the room's stream, in rooms with history. */
	offset?: number;
	/** Unix milliseconds. */
	time?: number;
}

export interface Welcome {
	connection: string;
	user: string;
	node: string;
	/** Seconds between two pings of the node. */
	heartbeat: number;
	/** When the token ends, in Unix seconds. */
	expires?: number;
	/** Rooms joined by the address (?room=). */
	rooms?: string[];
}

export interface Close {
	code: number;
	reason: string;
	/** Whether the client comes back by itself. */
	reconnect: boolean;
	/** Milliseconds until then. */
	delay?: number;
}

/**
 * What went wrong. code is a word of the node (bad_request, bad_room, forbidden, not_joined, rate_limited,
 * too_many_rooms, too_large, unavailable, unrecoverable, internal) or of the client:
 *
 * - closed: the client is closed
 * - disconnected: the connection ended before the answer came
 * - timeout: no answer, or no connection, in time
 * - queue_full: more waits than Options.queue
 * - left: the room was left before the command was sent
 * - token: the token callback failed
 * - stopped: a close code that trying again would not change, or an address or token that can't be sent
 * - protocol: the node sent what is not roost.v1
 */
export class RoostError extends Error {
	constructor(code: string, message: string, more?: { retryAfter?: number; sent?: boolean; cause?: unknown });
	readonly code: string;
	/** Milliseconds after which to try again, where the node said so. */
	readonly retryAfter?: number;
	/** Whether the command was sent. Of one that was and has no answer, nobody knows whether it was done. */
	readonly sent: boolean;
}

export interface RoomEvents<Data = any> {
	message: Message<Data>;
	/** Messages may have been missed here: load the room's state anew. */
	gap: Partial<Position>;
	/** It was away and has missed nothing: so many messages were made up for, as message events before this one. */
	recovered: { messages: number };
	/** A user's first connection came in, or the last one went (in rooms with presence events). */
	presence: { user: string; joined: boolean };
	/** It is a member, for the first time. */
	joined: Room<Data>;
	/** It is no member any more, because a new token does not cover the room. */
	left: Room<Data>;
	/** The node has refused the join for good. The room is given up. */
	error: RoostError;
}

export interface RoostEvents {
	state: State;
	open: Welcome;
	close: Close;
	/** Every message of every room. */
	message: Message;
	/** What nobody else is told of. Without a listener it is written to the console. */
	error: RoostError;
}

/** Listeners as join takes them: onMessage, onGap, ... */
export type RoomListeners<Data = any> = {
	[Event in keyof RoomEvents as `on${Capitalize<Event>}`]?: (event: RoomEvents<Data>[Event]) => void;
};

export interface PublishOptions {
	/** false: one's own connection does not hear it. */
	echo?: boolean;
}

/**
 * A room as long as it is wanted: after a reconnect it is joined again by itself. It then hears one of two events,
 * recovered or gap, so that a hole is never silent.
 *
 * Commands wait, within Options.timeout and Options.queue, until the client is a member. One that was sent is never
 * sent again: if the connection ends before its answer, it is rejected with disconnected.
 */
export interface Room<Data = any> {
	readonly name: string;
	readonly state: 'joining' | 'joined' | 'left' | 'refused';
	/** Where this client stands in the room's stream. */
	readonly position?: Readonly<Position>;
	/** Resolves when the room is joined for the first time; rejects if that is refused, or the room is left before. */
	readonly joined: Promise<Room<Data>>;
	/** Adds a listener and returns what takes it away. */
	on<Event extends keyof RoomEvents>(event: Event, listener: (event: RoomEvents<Data>[Event]) => void): () => void;
	publish(data: Data, options?: PublishOptions): Promise<{ room: string; offset?: number }>;
	/** Who is in the room. */
	presence(): Promise<{ users: { user: string; connections: number }[]; total: number }>;
	/** What was published in the room, oldest first. */
	history(options?: { since?: Position; limit?: number }): Promise<Position & { messages: Message<Data>[] }>;
	/** Leaves the room; it is not joined again. */
	leave(): Promise<unknown>;
}

/**
 * One connection that comes back. It begins to connect when it is made.
 *
 * After a close it does what the code asks: 1001 waits for the time that the node has named, 4401 gets a new token,
 * 4429 backs off for half a minute and more, 1000, 4403 and 4409 stop, 1002, 1003, 1007, 1008 and 1009 stop with an
 * error, and everything else backs off: a random time below firstDelay, doubled with each failure up to maxDelay.
 * That is cut short when the network or the page comes back. A node that has said nothing for two heartbeats is asked
 * for a sign of life.
 */
export class Roost {
	/** @param url ws:, wss:, http: or https:, or relative to the page: '/ws'. */
	constructor(url: string | URL, options?: Options);
	readonly state: State;
	readonly welcome?: Welcome;
	/** How many losses since a connection lasted. */
	readonly attempt: number;
	on<Event extends keyof RoostEvents>(event: Event, listener: (event: RoostEvents[Event]) => void): () => void;
	/** Joins a room. A second time it is the same room, with more listeners. */
	join<Data = any>(room: string, listeners?: RoomListeners<Data>): Room<Data>;
	/** Publishes without joining, where the room's rule allows that. */
	publish(room: string, data: unknown, options?: PublishOptions): Promise<{ room: string; offset?: number }>;
	/** Asks the node for an answer. */
	ping(): Promise<unknown>;
	/** Gets a new token and shows it to the node, for rights that have changed; it happens by itself before one ends. */
	refresh(): Promise<{ expires?: number }>;
	/** Ends the connection. Rooms are remembered for connect. */
	close(): void;
	/** Begins anew after the client was closed, by whomever. */
	connect(): void;
}

export default Roost;
