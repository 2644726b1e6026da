// Child processes with their last words kept, ended by process id.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const KEPT_LINES = 60;
const GRACE_MS = 8000;

const running = new Set();

export class Child {
  lines = [];
  exit;

  /** `onLine` sees each line of standard error and output. */
  constructor(name, command, args, { onLine, ...options } = {}) {
    this.name = name;
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    running.add(this);
    this.done = new Promise((resolve) => {
      const finish = (code, signal) => {
        running.delete(this);
        this.exit = { code, signal };
        resolve(this.exit);
      };
      this.process.on('exit', finish);
      this.process.on('error', (error) => {
        this.lines.push(`cannot start ${command}: ${error.message}`);
        finish(-1, null);
      });
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (onLine?.(line)) return;
        this.lines.push(line);
        if (this.lines.length > KEPT_LINES) this.lines.shift();
      });
    }
  }

  /** Ends it with the signal, and for good if it takes too long. */
  async end(signal = 'SIGTERM') {
    if (this.exit) return this.exit;
    this.process.kill(signal);
    const late = setTimeout(() => this.process.kill('SIGKILL'), GRACE_MS);
    await this.done;
    clearTimeout(late);
    return this.exit;
  }

  tail() {
    return this.lines.map((line) => `     ${this.name} | ${line}`).join('\n');
  }
}

export function endAll() {
  return Promise.all([...running].map((child) => child.end()));
}

export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `probe` until it returns something true; the error names what was waited for and what came last. */
export async function until(what, ms, probe) {
  const deadline = Date.now() + ms;
  let last;
  while (Date.now() < deadline) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error.cause?.message ?? error.message;
      if (error.fatal) throw error;
    }
    await sleep(100);
  }
  throw new Error(`waited ${ms} ms for ${what}; last: ${JSON.stringify(last)}`);
}
