// As much of RTMP 1.0 as it takes to ask for a publish and to hear the answer.

import { connect } from 'node:net';

const PACKET_BYTES = 1536;
const CHUNK_BYTES = 128;
const COMMAND = 20;

/** C0 and C1 (5.2). */
export const HELLO = Buffer.concat([Buffer.from([3]), Buffer.alloc(PACKET_BYTES)]);
const C2 = Buffer.alloc(PACKET_BYTES);
const CONNECT = command(0, 'connect', 1, { app: 'live', type: 'nonprivate', tcUrl: 'rtmp://localhost/live' });
const CREATE_STREAM = command(0, 'createStream', 2, null);

/** All that one who has a key says up to the answer, without waiting for any. */
export function attempt(key) {
  return Buffer.concat([HELLO, C2, CONNECT, CREATE_STREAM, command(1, 'publish', 3, null, key, 'live')]);
}

/** Publishes as an encoder does, a step after each answer; gives the open socket. */
export async function publish({ host, port, localAddress, key }) {
  const socket = connect({ host, port, localAddress, noDelay: true });
  const heard = listen(socket);
  await heard.until(() => socket.readyState === 'open');
  socket.write(HELLO);
  await heard.until((bytes) => bytes.length >= 2 * PACKET_BYTES + 1);
  socket.write(Buffer.concat([C2, CONNECT]));
  await heard.until((bytes) => bytes.includes('_result'));
  socket.write(CREATE_STREAM);
  await heard.until((bytes) => bytes.indexOf('_result') !== bytes.lastIndexOf('_result'));
  socket.write(command(1, 'publish', 3, null, key, 'live'));
  await heard.until((bytes) => bytes.includes('NetStream.Publish.'));
  const [, answer, why] = /(NetStream\.Publish\.\w+)[^]*?description\x02[^]{2}([ -~]*)/.exec(heard.bytes().toString('latin1'));
  if (answer === 'NetStream.Publish.Start') return socket;
  socket.destroy();
  throw new Error(`${answer}: ${why}`);
}

/** What a socket has said so far, and a way to wait for more. */
export function listen(socket) {
  let [bytes, waiting, ended] = [Buffer.alloc(0), undefined, undefined];
  const look = () => {
    if (waiting?.found(bytes)) waiting.resolve(bytes);
    else if (ended) waiting?.reject(ended);
  };
  const end = (error) => {
    ended ??= error ?? new Error('closed');
    look();
  };
  socket.on('connect', look);
  socket.on('data', (piece) => {
    bytes = Buffer.concat([bytes, piece]);
    look();
  });
  socket.on('error', end);
  socket.on('close', () => end());
  const until = (found) => {
    return new Promise((resolve, reject) => {
      waiting = { found, resolve, reject };
      look();
    });
  };
  return { until, bytes: () => bytes };
}

/** A command as a message (5.4.1, 7.1.1) in chunks of the size that holds before any other was agreed on (5.4.1). */
function command(stream, name, transaction, ...values) {
  const body = Buffer.concat([name, transaction, ...values].map(amf0));
  const header = Buffer.alloc(12);
  header[0] = 3;
  header.writeUIntBE(body.length, 4, 3);
  header[7] = COMMAND;
  header.writeUInt32LE(stream, 8);
  const pieces = [header];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    if (at > 0) pieces.push(Buffer.from([0xc3]));
    pieces.push(body.subarray(at, at + CHUNK_BYTES));
  }
  return Buffer.concat(pieces);
}

function amf0(value) {
  if (value === null) return Buffer.from([5]);
  if (typeof value === 'string') return Buffer.concat([Buffer.from([2]), text(value)]);
  if (typeof value === 'number') {
    const number = Buffer.alloc(9);
    number.writeDoubleBE(value, 1);
    return number;
  }
  const members = Object.entries(value).flatMap(([name, member]) => [text(name), amf0(member)]);
  return Buffer.concat([Buffer.from([3]), ...members, Buffer.from([0, 0, 9])]);
}

function text(value) {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
