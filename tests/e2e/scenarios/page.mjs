// The player in pages: controls, looks, frames, other sites, examples (P9, P20 to P23).

import { readFile } from 'node:fs/promises';
import { startSite } from '../lib/pages.mjs';
import { Child, freePorts, sleep, until } from '../lib/processes.mjs';
import { awaitFrame, look } from '../lib/session.mjs';
import { awaitState, embed, LATE_MS, playing } from './support.mjs';

const AXE = new URL('../node_modules/axe-core/axe.min.js', import.meta.url);
const EXAMPLES = new URL('../../../player/examples/', import.meta.url);

/** In the page: puts players in and takes them out, and counts what they make and what stays open. */
async function mountMany({ src, token, times }) {
  const open = { workers: 0, urls: 0, sockets: 0 };
  const made = { ...open };
  const count = (what, by) => {
    open[what] += by;
    if (by > 0) made[what] += by;
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  document.querySelector('main').replaceChildren();
  await pause(1000); // what was there is not counted
  const { WebSocket, Worker } = window;
  const { createObjectURL, revokeObjectURL } = URL;
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      count('sockets', 1);
      this.addEventListener('close', () => count('sockets', -1));
    }
  };
  window.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      count('workers', 1);
    }
    terminate() {
      super.terminate();
      count('workers', -1);
    }
  };
  URL.createObjectURL = (object) => {
    count('urls', 1);
    return createObjectURL.call(URL, object);
  };
  URL.revokeObjectURL = (url) => {
    count('urls', -1);
    revokeObjectURL.call(URL, url);
  };
  for (let n = 0; n < times; n++) {
    const player = document.createElement('weir-player');
    Object.entries({ src, token, autoplay: '', muted: '' }).forEach((pair) => player.setAttribute(...pair));
    document.querySelector('main').append(player);
    await pause(n % 5 === 0 ? 250 : 20);
    player.remove();
  }
  for (let n = 0; n < 150 && Object.values(open).some((left) => left > 0); n++) await pause(100);
  return { open, made };
}

/** As a person's bundler would do it, with the package as it was built. */
async function bundle(name) {
  const { build } = await import(new URL('../../../player/node_modules/esbuild/lib/main.js', import.meta.url).href);
  const folder = new URL('../../../player/', import.meta.url).pathname;
  const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: [`examples/${name}`],
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    alias: { 'weir-player/react': './dist/react.js' },
  });
  return outputFiles[0].text;
}

export const page = {
  // P9
  autoplay: {
    async run(world) {
      const { open, expect, out, browser } = world;
      const page = await open(embed(world, '?autoplay=1&muted=0'));
      await sleep(3000); // tools that look into a page count as a person's gesture
      await playing(page);
      const seen = await page.evaluate(() => {
        const button = window.weir.shadowRoot.getElementById('unmute');
        return { muted: window.weir.muted, hidden: button.hidden };
      });
      expect.that(seen.muted && !seen.hidden, `muted ${seen.muted}, unmute button hidden ${seen.hidden}`);
      await page.screenshot(`${out}${browser.name}-unmute.png`);
    },
  },

  // P20: the pages and the bare element, as they play and as they don't, by axe in light and dark; looked at in two sizes
  looks: {
    only: 'chromium', // Firefox's tool can't change the scheme
    async run({ open, weir, proxy, stream, expect, out }) {
      const axe = await readFile(AXE, 'utf8');
      const idle = await weir.createStream('Sunday service, main hall');
      const player = (id, token) => `<weir-player src="${proxy.base}/live/${id}" token="${token}" autoplay muted controls></weir-player>`;
      const site = await startSite({
        pages: {
          '/': {
            body: `<!doctype html><html lang="en"><title>element</title><meta name="viewport" content="width=device-width">
              <meta name="color-scheme" content="light dark"><style>weir-player { width: 100% }</style>
              <script type="module" src="${proxy.base}/player/weir-player.js"></script>
              <main><h1>A page with a player</h1>${player(stream.playbackId, stream.token)}</main></html>`,
          },
        },
      });
      const shots = {
        watch: [`${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`, 'playing'],
        'watch-waiting': [`${proxy.base}/watch/${idle.playbackId}#token=${idle.token}`, 'waiting'],
        'watch-refused': [`${proxy.base}/watch/${stream.playbackId}`, 'failed'],
        embed: [`${proxy.base}/embed/${stream.playbackId}?autoplay=1#token=${stream.token}`, 'playing'],
        'embed-refused': [`${proxy.base}/embed/${stream.playbackId}?autoplay=1`, 'failed'],
        element: [`${site.base}/`, 'playing'],
      };
      try {
        for (const [name, [url, state]] of Object.entries(shots)) {
          for (const size of [{ width: 1440, height: 900 }, { width: 360, height: 740 }]) {
            const page = await open(url, size);
            await awaitState(page, state);
            for (const scheme of ['light', 'dark']) {
              await page.scheme(scheme);
              for (const withStats of state === 'playing' ? [false, true] : [false]) {
                if (withStats) await page.evaluate(() => window.weir.toggleStats());
                await sleep(600); // controls fade in, figures come
                await page.screenshot(`${out}look-${name}-${size.width}-${scheme}${withStats ? '-stats' : ''}.png`);
                await page.evaluate(axe);
                const { violations } = await page.evaluate(() => window.axe.run(document));
                const words = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
                expect.that(violations.length === 0, `${name} ${size.width} ${scheme}: ${words.join('; ')}`);
                const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
                expect.that(over <= 0, `${name}: ${over} px wider than ${size.width}`);
                if (withStats) await page.evaluate(() => window.weir.toggleStats());
              }
            }
            await page.close();
          }
        }
      } finally {
        await site.close();
      }
    },
  },

  // P20
  access: {
    async run({ open, url, expect }) {
      const axe = await readFile(AXE, 'utf8');
      const page = await open(url);
      await playing(page);
      await page.evaluate(axe);
      await page.press('i');
      const { violations } = await page.evaluate(() => window.axe.run(document));
      const words = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      expect.that(violations.length === 0, words.join('; '));
      const state = () =>
        page.evaluate(() => ({
          paused: window.weir.paused,
          muted: window.weir.muted,
          full: document.fullscreenElement !== null,
          stats: !window.weir.shadowRoot.getElementById('stats').hidden,
          seeks: window.weir.stats.seeks,
        }));
      const first = await state();
      expect.that(first.stats, 'i does not open the statistics');
      await page.press('m');
      expect.that((await state()).muted !== first.muted, 'm does not change the sound');
      await page.press('m');
      await page.press(' ');
      expect.that((await state()).paused, 'space does not pause');
      await page.press(' ');
      await until('to go on', LATE_MS, async () => !(await state()).paused);
      await awaitState(page, 'playing');
      await page.press('l');
      await until('a seek to live', LATE_MS, async () => (await state()).seeks > first.seeks);
      await page.press('f');
      await until('full screen', LATE_MS, async () => (await state()).full);
      await page.press('f');
      const focused = [];
      for (let n = 0; n < 12; n++) {
        await page.press('Tab');
        focused.push(
          await page.evaluate(() => {
            let element = document.activeElement;
            while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
            let isSeen = element === document.body; // it left the page
            for (let at = element; at instanceof Element; at = at.parentElement ?? at.getRootNode().host) {
              const { outlineStyle, boxShadow } = getComputedStyle(at);
              isSeen ||= outlineStyle !== 'none' || boxShadow !== 'none';
            }
            return `${element?.getAttribute('aria-label') ?? element?.localName}${isSeen ? '' : ' (focus not visible)'}`;
          }),
        );
      }
      expect.that(!focused.join().includes('not visible'), `focus goes to ${focused.join(', ')}`);
      expect.that(new Set(focused).size >= 5, `focus goes to ${focused.join(', ')}`);
      return { focused: [...new Set(focused)] };
    },
  },

  // P22, P23: another site, its own policy; two players; many that come and go
  site: {
    async run({ proxy, stream, open, expect, browser }) {
      const policy =
        `default-src 'none'; script-src ${proxy.base} 'self'; style-src 'self'; img-src data:; media-src blob:; ` +
        `worker-src blob: ${proxy.base}; connect-src ${proxy.base} ${proxy.base.replace('http', 'ws')}`;
      const src = `${proxy.base}/live/${stream.playbackId}`;
      const player = (id) =>
        `<weir-player id="${id}" src="${src}" token="${stream.token}" autoplay muted controls></weir-player>`;
      const site = await startSite({
        pages: {
          '/': {
            headers: { 'content-security-policy': policy },
            body: `<!doctype html><title>two</title><link rel="icon" href="data:,"><script type="module" src="${proxy.base}/player/weir-player.js">
              </script><link rel="stylesheet" href="/style.css"><main>${player('a')}${player('b')}</main>`,
          },
          '/style.css': { type: 'text/css', body: 'weir-player { width: 320px; height: 180px }' },
        },
      });
      try {
        const page = await open(`${site.base}/`);
        const states = () =>
          page.evaluate(() => ['a', 'b'].map((id) => document.getElementById(id).state).join());
        await until('two pictures', LATE_MS, async () => (await states()) === 'playing,playing');
        const worker = await page.evaluate(() => document.getElementById('a').stats.inWorker);
        const left = await page.evaluate(mountMany, { src, token: stream.token, times: 50 });
        expect.that(left.made.workers + left.made.urls > 0, 'nothing was made');
        expect.that(
          Object.values(left.open).every((count) => count === 0),
          `left behind: ${JSON.stringify(left.open)}`,
        );
        await until('all sockets to close', LATE_MS, () =>
          proxy.links.every(({ browser }) => browser.readyState === browser.CLOSED),
        );
        expect.that(worker === (browser.name === 'chromium'), `in a worker: ${worker}`);
        return { worker, made: left.made };
      } finally {
        await site.close();
      }
    },
  },

  // The frame's API
  frame: {
    async run(world) {
      const { open, expect, weir } = world;
      const site = await startSite({
        pages: {
          '/': {
            body: `<!doctype html><title>frame</title><iframe width="640" height="360" allow="autoplay"
              src="${embed(world, '?autoplay=1&controls=0')}"></iframe><script>
              window.heard = [];
              addEventListener('message', ({ data }) => heard.push(data));
              window.say = (message) => document.querySelector('iframe').contentWindow.postMessage(message, '*');
              </script>`,
          },
        },
      });
      try {
        const page = await open(`${site.base}/`);
        const heard = (type, field, value) =>
          until(`${type} ${value}`, LATE_MS, () =>
            page.evaluate(
              ([wanted, name, is]) => window.heard.some((told) => told.type === wanted && told[name] === is),
              [type, field, value],
            ),
          );
        await heard('weir:state', 'state', 'playing');
        await until('statistics', LATE_MS, () =>
          page.evaluate(() => window.heard.some(({ type, latencyMs }) => type === 'weir:stats' && latencyMs > 0)),
        );
        await page.evaluate(() => window.say({ type: 'weir:pause' }));
        await heard('weir:pause', 'paused', true);
        await page.evaluate(() => window.say({ type: 'weir:play' }));
        await heard('weir:play', 'paused', false);
        await page.evaluate(() => window.say({ type: 'weir:volume', volume: 0.5 }));
        await heard('weir:volumechange', 'volume', 0.5);
      } finally {
        await site.close();
      }
      const policy = async (id) =>
        (await fetch(`${weir.base}/embed/${id}`)).headers.get('content-security-policy').split('frame-ancestors ')[1];
      expect.that((await policy(world.stream.playbackId)) === '*', 'frames are not allowed anywhere');
      const oembed = (id) => fetch(`${weir.base}/oembed?url=${encodeURIComponent(`${weir.base}/watch/${id}`)}`);
      const refused = await oembed(world.stream.playbackId);
      expect.that(refused.status === 401, `oembed of a stream with tokens: ${refused.status}`);
      const settings = { tenant: world.stream.tenant, name: 'a "public" one', policy: 'public' };
      const allowed_origins = ['https://site.example'];
      const shown = await weir.api('POST', '/streams', { ...settings, allowed_origins }, [201]);
      const sources = await policy(shown.playback_id);
      expect.that(sources === "'self' https://site.example", `frames allowed in ${sources}`);
      const answer = await (await oembed(shown.playback_id)).json();
      expect.that(answer.title === settings.name && answer.type === 'video', JSON.stringify(answer));
      expect.that(answer.html.includes(`/embed/${shown.playback_id}`), answer.html);
      expect.that(answer.html.includes('a &quot;public&quot; one'), answer.html);
      for (const page of ['watch', 'embed']) {
        const html = await (await fetch(`${weir.base}/${page}/${shown.playback_id}`)).text();
        const href = /<link rel="alternate" type="application\/json\+oembed" href="([^"]+)"/.exec(html)?.[1];
        const found = href && (await (await fetch(href.replaceAll('&amp;', '&'))).json());
        expect.that(found?.html === answer.html, `${page}: the link to oembed is ${href}`);
      }
      const unknown = await fetch(`${weir.base}/embed/no-such-stream`);
      expect.that(unknown.status === 404, `a frame of no stream: ${unknown.status}`);
    },
  },

  // Each example plays
  examples: {
    async run({ open, expect, proxy, weir, stream, out, browser }) {
      const [port] = await freePorts(1);
      const fill = (text) =>
        text
          .replaceAll('https://weir.example', proxy.base)
          .replaceAll('http://localhost:3000', `http://127.0.0.1:${port}`)
          .replaceAll('PLAYBACK_ID', stream.playbackId)
          .replaceAll('TOKEN', stream.token);
      const example = async (name) => ({ body: fill(await readFile(new URL(name, EXAMPLES), 'utf8')) });
      const react =
        `<!doctype html><div id="root" data-src="${proxy.base}/live/${stream.playbackId}" ` +
        `data-token="${stream.token}"></div><script type="module" src="/react.js"></script>`;
      const site = await startSite({
        pages: {
          '/plain.html': () => example('plain.html'),
          '/token-refresh.html': () => example('token-refresh.html'),
          '/bare-mse.html': () => example('bare-mse.html'),
          '/bare-canvas.html': () => example('bare-canvas.html'),
          '/react.html': { body: react },
          '/react.js': { type: 'text/javascript', body: await bundle('react.jsx') },
        },
        folders: { player: new URL('../../player/dist/', import.meta.url).pathname },
      });
      const backend = new Child('backend', process.execPath, [new URL('token-backend.mjs', EXAMPLES).pathname], {
        env: { WEIR_URL: weir.base, WEIR_KEY: weir.adminKey, STREAM: stream.id, PORT: `${port}` },
      });
      const url = `?url=${proxy.base.replace('http', 'ws')}/live/${stream.playbackId}&token=${stream.token}`;
      const first = {};
      try {
        for (const [name, query] of [['plain', ''], ['react', ''], ['token-refresh', ''], ['bare-mse', url]]) {
          const page = await open(`${site.base}/${name}.html${query}`);
          const frame = await awaitFrame(page, 0, LATE_MS);
          expect.that(frame, `${name}: no picture`);
          first[name] = frame?.frame;
          await page.screenshot(`${out}${browser.name}-example-${name}.png`);
        }
        const page = await open(`${site.base}/bare-canvas.html${url}`);
        const decodes = await page.evaluate(() => typeof VideoDecoder !== 'undefined');
        if (decodes) {
          await page.evaluate(() => window.weirProbe.watchCanvas(document.querySelector('canvas')));
          first.canvas = (await awaitFrame(page, 0, LATE_MS))?.frame;
          expect.that(first.canvas !== undefined, 'bare-canvas: no picture');
        }
        return first;
      } finally {
        await backend.end();
        await site.close();
      }
    },
  },
};
