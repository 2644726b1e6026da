// Builds dist/, all in one folder: the package (ES modules, one file for <script>, types) and the server's pages.
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { strictStyles } from './strict-styles.mjs';

const root = new URL('..', import.meta.url);
const out = new URL('dist/', root);
const common = {
  absWorkingDir: root.pathname,
  bundle: true,
  minify: true,
  target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [strictStyles()],
  // Times are named with their units all over; that costs a kilobyte. What the outside reads keeps its name.
  mangleProps: /^(handle|on)[A-Z]|[a-z0-9](Ms|Us|Ticks|S)$/,
  reserveProps:
    /^(handle(Event|Key)|on(Error|StateChange|TokenNeeded)|(latency|buffer|target|unseen|jitter|rtt|firstFrame)Ms|expiresInS|timeS|wallUs)$/,
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await copyFile(new URL('src/worker-script.js', root), new URL('worker.js', out));
const { mangleCache } = await build({
  ...common,
  entryPoints: { engine: 'src/index.ts' },
  outdir: 'dist',
  format: 'esm',
});
const shared = { ...common, mangleCache };
await build({
  ...shared,
  entryPoints: {
    canvas: 'src/canvas/index.ts',
    element: 'src/element/index.ts',
    'weir-player': 'src/ui/index.ts',
    react: 'src/react.ts',
    watch: 'pages/watch.ts',
    embed: 'pages/embed.ts',
  },
  outdir: 'dist',
  format: 'esm',
  splitting: true,
  chunkNames: 'chunk-[hash]',
  external: ['react'],
  plugins: [strictStyles(), engineFromItsFile()],
});
await build({
  ...shared,
  entryPoints: ['src/ui/index.ts'],
  outfile: 'dist/weir-player.iife.js',
  format: 'iife',
  define: { 'import.meta.url': 'weirPlayerScript' },
  banner: { js: 'var weirPlayerScript=document.currentScript?.src??location.href;' },
});
await build({ ...common, entryPoints: ['pages/page.css'], outdir: 'dist' });
for (const name of ['watch.html', 'embed.html'])
  await copyFile(new URL(`pages/${name}`, root), new URL(name, out));
execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json'], {
  cwd: root.pathname,
  stdio: 'inherit',
});

/** The page and its worker load the same file, so the rest must not carry a copy. */
function engineFromItsFile() {
  return {
    name: 'engine-from-its-file',
    setup(builder) {
      builder.onResolve({ filter: /^\.\.\/(engine|index)$/ }, () => ({
        path: './engine.js',
        external: true,
      }));
    },
  };
}
