// Compresses what was built, so that the server need not, and holds the first load to its size.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const FIRST_LOAD_MAX = 250_000;

const dist = new URL('../dist/', import.meta.url);
const names = (await readdir(dist, { recursive: true })).filter((name) => /\.(html|js|css|svg)$/.test(name));
const gzipped = new Map();
for (const name of names) {
  const bytes = await readFile(new URL(name, dist));
  const gzip = gzipSync(bytes, { level: 9 });
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  await writeFile(new URL(`${name}.gz`, dist), gzip);
  await writeFile(new URL(`${name}.br`, dist), brotliCompressSync(bytes, quality));
  gzipped.set(name, gzip.length);
}

const html = await readFile(new URL('index.html', dist), 'utf8');
const first = [...gzipped].filter(([name]) => name === 'index.html' || html.includes(name));
const size = first.reduce((sum, [, bytes]) => sum + bytes, 0);
console.log(
  `first load: ${size} bytes gzipped in ${first.length} files; all: ${[...gzipped.values()].reduce((a, b) => a + b, 0)}`,
);
if (size > FIRST_LOAD_MAX) {
  console.error(`the first load is larger than ${FIRST_LOAD_MAX} bytes`);
  process.exit(1);
}
if (/<style|\sstyle=|<script(?![^>]*\ssrc=)/.test(html)) {
  console.error('index.html holds something inline');
  process.exit(1);
}
