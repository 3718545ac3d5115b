// The npm packages of .ci/node, which are not on the way up from these scripts.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../../../../.ci/node/package.json', import.meta.url));

export const WebSocket = require('ws');
export const { WebSocketServer } = WebSocket;
export const loadPlaywright = () => require('playwright-core');
