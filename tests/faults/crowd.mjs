// A child of floods.mjs: many connections that ask for nothing, and when the server was done with each.

import { connect } from 'node:net';
import { address } from './addresses.mjs';
import { HELLO } from './rtmp.mjs';

const { protocol, kind, host, port, count, rate, source } = JSON.parse(process.argv[2]);
const HEAD = Buffer.from(`GET /livez HTTP/1.1\r\nhost: ${host}\r\nx-padding: ${'a'.repeat(1000)}`);
const TICK_MS = 10;
const REPORT_MS = 250;

const said = protocol === 'rtmp' ? HELLO : HEAD;
/** All of one's hello for RTMP, and not the rest of the handshake; half a head for HTTP. */
const half = protocol === 'rtmp' ? said : said.subarray(0, said.length / 2);
const open = new Set();
const lasted = [];
let [begun, failed] = [0, 0];
const start = performance.now();

const connecting = setInterval(() => {
  const due = Math.min(count, Math.floor(((performance.now() - start) / 1000) * rate));
  while (begun < due) begin(begun++);
  if (begun === count) clearInterval(connecting);
}, TICK_MS);
if (kind === 'slow') setInterval(() => open.forEach((one) => one.socket.write(said.subarray(one.sent, ++one.sent))), 1000);
setInterval(report, REPORT_MS);
process.on('disconnect', () => process.exit());

function begin(at) {
  const socket = connect({ host, port, localAddress: address(source, at) });
  const one = { socket, sent: 0, since: undefined };
  socket.on('connect', () => {
    one.since = performance.now();
    open.add(one);
    if (kind === 'half') socket.write(half);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (one.since === undefined) failed += 1;
    else lasted.push(performance.now() - one.since);
    open.delete(one);
  });
  socket.resume();
}

function report() {
  const slowest = lasted.reduce((most, ms) => Math.max(most, ms), 0);
  process.send({ begun, open: open.size, failed, closed: lasted.length, slowest });
}
