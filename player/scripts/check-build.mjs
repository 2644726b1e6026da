// What was built, checked: what a page has to fetch, gzipped, beside what is allowed (kB of 1024 bytes), and that every
// module can be imported on a server.
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const LIMITS = [
  ['engine', 'engine.js', 12],
  ['element', 'element.js', 18],
  ['full player', 'weir-player.js', 70],
  ['one script', 'weir-player.iife.js', 70],
  ['watch page', 'watch.js', 70],
];
const dist = new URL('../dist/', import.meta.url);

/** The file and all that it imports without being asked, once each; the worker fetches no more than that. */
async function parts(name, found = new Map()) {
  if (found.has(name)) return found;
  const bytes = await readFile(new URL(name, dist));
  found.set(name, gzipSync(bytes, { level: 9 }).length);
  for (const [, next] of bytes.toString().matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) {
    await parts(next, found);
  }
  return found;
}

let good = true;
for (const [title, name, limitKb] of LIMITS) {
  const files = await parts(name);
  const bytes = [...files.values()].reduce((sum, size) => sum + size, 0);
  const fits = bytes <= limitKb * 1024;
  good &&= fits;
  console.log(
    `${fits ? 'ok  ' : 'FAIL'} ${title}: ${bytes} bytes gzipped in ${files.size} files, at most ${limitKb} kB`,
  );
}
for (const name of ['engine', 'element', 'weir-player', 'canvas']) {
  await import(new URL(`${name}.js`, dist).href);
}
process.exitCode = good ? 0 : 1;
