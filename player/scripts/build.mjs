// Builds dist/: watch.html, hashed assets, and the engine as one ES module.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url);
const out = new URL('dist/', root);
const common = {
  absWorkingDir: new URL('.', root).pathname,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
  legalComments: 'none',
  logLevel: 'warning',
};

await rm(out, { recursive: true, force: true });
const [assets] = await Promise.all([
  build({
    ...common,
    entryPoints: ['pages/watch.ts', 'pages/watch.css'],
    entryNames: 'assets/[name]-[hash]',
    outdir: 'dist',
    metafile: true,
  }),
  build({ ...common, entryPoints: ['src/index.ts'], outfile: 'dist/weir-player.js' }),
]);

const files = Object.keys(assets.metafile.outputs).map((path) => basename(path));
const asset = (ending) => {
  const name = files.find((file) => file.endsWith(ending));
  if (!name) throw new Error(`no ${ending} was built`);
  return `/player/assets/${name}`;
};
const html = await readFile(new URL('pages/watch.html', root), 'utf8');
const page = html.replace('{{css}}', asset('.css')).replace('{{js}}', asset('.js'));
await writeFile(new URL('watch.html', out), page);

for (const path of [...files.map((file) => `assets/${file}`), 'weir-player.js']) {
  const bytes = await readFile(new URL(path, out));
  console.log(`dist/${path}  ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
}
