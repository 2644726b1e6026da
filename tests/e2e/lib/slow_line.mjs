// A line that carries so many bytes a second (slow_line.py says why it is not made here).

import { Child, until } from './processes.mjs';

const SCRIPT = new URL('slow_line.py', import.meta.url).pathname;

/** `{ base, set(rate), close() }`; `rate` in bytes a second, without limit at first. */
export async function startSlowLine(upstream) {
  let port;
  const onLine = (line) => /^\d+$/.test(line) && Boolean((port ??= Number(line)));
  const child = new Child('line', 'python3', [SCRIPT, new URL(upstream).port], { onLine, stdio: 'pipe' });
  await until('the slow line', 10_000, () => {
    if (child.exit) throw Object.assign(new Error(child.tail()), { fatal: true });
    return port !== undefined;
  });
  return {
    base: `http://127.0.0.1:${port}`,
    set: (rate) => child.process.stdin.write(`${rate}\n`),
    close: () => child.end(),
  };
}
