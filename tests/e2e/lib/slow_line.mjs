// A line that carries so many bytes a second and holds back the rest: its sender meets a full socket, as with a slow viewer.

import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';

const EVERY_MS = 20;

/**
 * `{ base, rate, held(), close() }`; `rate` in bytes a second may be changed, Infinity is no limit; `held()` is what the
 * line's own buffers hold of the fullest connection, bytes.
 */
export async function startSlowLine(upstream) {
  const target = new URL(upstream);
  const line = { rate: Number.POSITIVE_INFINITY, held, close };
  const pairs = new Set();
  const server = createServer((near) => {
    // What this end holds unread stays in the kernel, where it pushes back.
    const far = connect({ host: target.hostname, port: Number(target.port), highWaterMark: 4096 });
    const pair = { near, far };
    pairs.add(pair);
    near.setNoDelay(true);
    near.pipe(far);
    far.pause();
    for (const socket of [near, far]) {
      socket.on('error', () => end(pair));
      socket.on('close', () => end(pair));
    }
  });
  const timer = setInterval(() => pairs.forEach(carry), EVERY_MS);

  /** Hands on what the rate allows since the last time, no more than two turns' worth at once. */
  function carry(pair) {
    const most = line.rate * (EVERY_MS / 1000);
    pair.credit = Math.min((pair.credit ?? 0) + most, 2 * most + 4096);
    while (pair.credit > 0) {
      const bytes = pair.far.read();
      if (bytes === null) return;
      pair.credit -= bytes.length;
      pair.near.write(bytes);
    }
  }

  async function held() {
    const waiting = await unread();
    const of = ({ near, far }) => (waiting.get(far.localPort) ?? 0) + far.readableLength + near.writableLength;
    return Math.max(0, ...[...pairs].map(of));
  }

  function end(pair) {
    pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }

  async function close() {
    clearInterval(timer);
    pairs.forEach(end);
    await new Promise((resolve) => server.close(resolve));
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  line.base = `http://127.0.0.1:${server.address().port}`;
  return line;
}

/** Bytes that the kernel holds for each local port, not read yet (`rx_queue`, proc(5)). */
async function unread() {
  const lines = (await readFile('/proc/net/tcp', 'utf8')).trim().split('\n').slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Map(fields.map(([, local, , , queues]) => [hex(local.split(':')[1]), hex(queues.split(':')[1])]));
}

function hex(text) {
  return Number.parseInt(text, 16);
}
