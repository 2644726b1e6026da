// A child of floods.mjs: so many tries a second, each on a connection of its own, until it is told to stop.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { address } from './addresses.mjs';
import { attempt } from './rtmp.mjs';

const { kind, host, port, rate, source, path, token } = JSON.parse(process.argv[2]);
const TICK_MS = 5;
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** What is said, and how one knows the answer; without anything to say, until the other side closes. */
const KINDS = {
  keys: { say: () => attempt(wrongKey()), answer: /NetStream\.Publish\.\w+/ },
  tokens: { say: () => upgrade(wrongToken()), answer: /^HTTP\/1\.1 \d+/ },
  connects: {},
};
const { say, answer } = KINDS[kind];
const answers = {};
let [made, due] = [0, 0];
const start = performance.now();

const timer = setInterval(() => {
  due = Math.floor(((performance.now() - start) / 1000) * rate);
  while (made < due) tryOnce(made++);
}, TICK_MS);
process.on('message', () => {
  clearInterval(timer);
  const { user, system } = process.cpuUsage();
  const seconds = (performance.now() - start) / 1000;
  process.send({ rate: made / seconds, cores: (user + system) / 1e6 / seconds, answers }, () => process.exit());
});
process.on('disconnect', () => process.exit());

function tryOnce(at) {
  const socket = connect({ host, port, localAddress: address(source, at) });
  let heard = '';
  const count = (what) => (answers[what] = (answers[what] ?? 0) + 1);
  if (say) socket.on('connect', () => socket.write(say()));
  socket.on('data', (piece) => {
    heard += piece.toString('latin1');
    const found = answer?.exec(heard);
    if (!found) return;
    count(found[0]);
    // An orderly end would keep its port for a minute.
    socket.resetAndDestroy();
  });
  socket.on('error', (error) => count(error.code));
  if (!say) socket.on('end', () => count('closed'));
}

function wrongKey() {
  return `sk_${Array.from(randomBytes(39), (byte) => DIGITS[byte & 31]).join('')}`;
}

/** The right one but for its signature. */
function wrongToken() {
  return token.replace(/[^.]*$/, randomBytes(32).toString('base64url'));
}

function upgrade(wrong) {
  const socket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: weir.v1';
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${socket}\r\n${key}\r\nAuthorization: Bearer ${wrong}\r\n\r\n`;
}
