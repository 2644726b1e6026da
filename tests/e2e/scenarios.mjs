// The player's promises, one scenario each: `run` gets the world and says what it expects; it returns figures.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clipInput, clipOutput } from './lib/clip.mjs';
import { judge, median } from './lib/judge.mjs';
import { startSite } from './lib/pages.mjs';
import { Child, freePorts, sleep, until } from './lib/processes.mjs';
import { chunkFacts } from './lib/proxy.mjs';
import { publish } from './lib/publisher.mjs';
import { awaitFrame, look } from './lib/session.mjs';

const AXE = new URL('node_modules/axe-core/axe.min.js', import.meta.url);
const EXAMPLES = new URL('../../player/examples/', import.meta.url);
const LATE_MS = 10_000; // until something is there at last, on a busy machine

/** Waits until the page's player says so, or fails with what it says. */
async function awaitState(page, wanted, ms = LATE_MS) {
  return until(`state ${wanted}`, ms, () => page.evaluate((state) => window.weir?.state === state, wanted));
}

async function playing(page) {
  if (!(await awaitFrame(page, 0, LATE_MS))) throw new Error('no readable picture in time');
  await awaitState(page, 'playing');
}

/** Figures over what was shown since `fromT`. */
async function shownSince(page, fromT, sentFrames) {
  const seen = await look(page);
  return { ...seen, figures: judge(seen.log.frames, { sentFrames, fromT }) };
}

function newest(proxy) {
  return proxy.links.at(-1);
}

function said(proxy, type) {
  return proxy.links.flatMap((link) => link.said).filter((message) => message.type === type);
}

async function metric(weir, name) {
  const text = await (await fetch(`http://127.0.0.1:${weir.internal}/metrics`)).text();
  return Number(new RegExp(`^weir_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

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
  const { build } = await import(new URL('../../player/node_modules/esbuild/lib/main.js', import.meta.url).href);
  const folder = new URL('../../player/', import.meta.url).pathname;
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

/** In the page: notes when the picture's lower half turns white and when a tone begins, ms. */
function hearAndSee(renderer) {
  const noted = { flashes: [], beeps: [] };
  window.noted = noted;
  const video = window.weir.shadowRoot.querySelector('video');
  const now = () => performance.now();
  const listen = (context, node) => {
    const analyser = new AnalyserNode(context, { fftSize: 256 });
    node.connect(analyser);
    const samples = new Float32Array(256);
    let quietSince = 0;
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const isLoud = samples.some((sample) => Math.abs(sample) > 0.05);
      if (isLoud && now() - quietSince > 300) noted.beeps.push(now());
      if (isLoud) quietSince = now();
    }, 4);
  };
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let wasWhite = true;
  const look = (picture, width, height, at) => {
    context.drawImage(picture, width / 2, height * 0.75, 1, 1, 0, 0, 1, 1);
    const isWhite = context.getImageData(0, 0, 1, 1).data[1] > 128;
    if (isWhite && !wasWhite) noted.flashes.push(at);
    wasWhite = isWhite;
  };
  const { connect } = AudioNode.prototype;
  if (renderer) {
    window.weir.setAttribute('renderer', renderer);
    window.weir.onframe = (frame) => look(frame, frame.displayWidth, frame.displayHeight, now());
    AudioNode.prototype.connect = function (target, ...more) {
      if (target instanceof AudioDestinationNode) listen(this.context, this);
      return connect.call(this, target, ...more);
    };
  } else {
    const audio = new AudioContext();
    const source = audio.createMediaElementSource(video);
    source.connect(audio.destination);
    listen(audio, source);
    const watch = (_, { presentationTime }) => {
      look(video, video.videoWidth, video.videoHeight, presentationTime);
      video.requestVideoFrameCallback(watch);
    };
    video.requestVideoFrameCallback(watch);
  }
  window.weir.muted = false;
  void window.weir.play();
}

const BEEP = { size: '640x360', fps: 30, gop: 1, beep: 'yes' };
const embed = (world, query = '') =>
  `${world.proxy.base}/embed/${world.stream.playbackId}${query}#token=${world.stream.token}`;

export const scenarios = {
  // P1, P2, P3, P13, P19
  steady: {
    async run({ open, url, expect, sentFrames, weir, stream, proxy, out, browser }) {
      await (await open(url)).close();
      const before = said(proxy, 'stats').length;
      const page = await open(url);
      await playing(page);
      const began = Date.now();
      await sleep(11_000);
      const { stats, figures } = await shownSince(page, began, sentFrames);
      await page.screenshot(`${out}${browser.name}-steady.png`);
      expect.that(stats.firstFrameMs < 1500, `first picture after ${stats.firstFrameMs} ms`);
      expect.that(figures.unreadable === 0 && figures.unknown === 0, 'numbers that were not sent');
      expect.that(figures.back.length === 0, `numbers went back: ${figures.back}`);
      expect.that(figures.shown_share >= 0.95, `${figures.shown_share} of the frames shown`);
      expect.that(figures.latency_ms < stats.targetMs + 250, `${figures.latency_ms} ms, target ${stats.targetMs}`);
      const off = Math.abs(figures.latency_ms - figures.player_latency_ms);
      expect.that(off < 120, `stats.latency ${figures.player_latency_ms}, seen ${figures.latency_ms}`);
      const back = await page.evaluate(() => {
        const video = window.weir.shadowRoot.querySelector('video');
        return video.currentTime - video.buffered.start(0);
      });
      expect.that(back < 11, `${back} s kept behind the picture`);
      await until('statistics at the server', LATE_MS, () => said(proxy, 'stats').length > before);
      const told = said(proxy, 'stats').at(-1);
      const { qoe } = await until('qoe', LATE_MS, async () => {
        const shown = await weir.api('GET', `/streams/${stream.id}`, undefined, [200]);
        return shown.qoe && shown;
      });
      expect.that(qoe.reports > 0 && qoe.latency_ms_p50 > 0, `qoe ${JSON.stringify(qoe)}`);
      expect.that(qoe.first_frame_ms_p50 > 0 && qoe.stall_ratio < 0.5, `qoe ${JSON.stringify(qoe)}`);
      expect.that(Math.abs(told.latency_ms - stats.latencyMs) < 250, `told ${told.latency_ms}, ${stats.latencyMs}`);
      const count = await metric(weir, 'viewer_latency_seconds_count');
      const sum = said(proxy, 'stats').filter((message) => message.latency_ms !== null).length;
      expect.that(count === sum, `the server counts ${count} reports, ${sum} were sent`);
      return { first_ms: Math.round(stats.firstFrameMs), p50: figures.latency_ms, worker: stats.inWorker, qoe };
    },
  },

  // P4
  stall: {
    async run({ open, url, expect, proxy, sentFrames }) {
      const page = await open(url);
      await playing(page);
      await sleep(1500);
      const { stats: before } = await look(page);
      proxy.held = true;
      await sleep(2000);
      proxy.held = false;
      newest(proxy).flush();
      await sleep(3000);
      const fromT = Date.now();
      await sleep(1500);
      const { stats, figures } = await shownSince(page, fromT, sentFrames);
      const rates = (await look(page)).log.frames.map(({ rate }) => rate);
      expect.that(Math.max(...rates) <= 1.15, `rate ${Math.max(...rates)}`);
      expect.that(stats.seeks - before.seeks <= 1, `${stats.seeks - before.seeks} seeks`);
      expect.that(figures.latency_ms < stats.targetMs + 300, `${figures.latency_ms} ms after the stall`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      const seeks = stats.seeks - before.seeks;
      return { after_ms: figures.latency_ms, told_ms: Math.round(stats.latencyMs), target_ms: Math.round(stats.targetMs), seeks };
    },
  },

  // P5, P6: a whole group of pictures is lost, first with its sound, then without
  lost: {
    async run({ open, url, expect, proxy, sentFrames }) {
      const page = await open(url);
      await playing(page);
      const freezes = {};
      for (const kind of ['both', 'video']) {
        const fromT = Date.now();
        let groups = 0;
        proxy.keep = (bytes) => {
          const { track, key } = chunkFacts(bytes);
          if (key) groups += 1;
          return groups !== 1 || (kind === 'video' && track !== 1);
        };
        await until('the loss to be over', LATE_MS, () => groups >= 2);
        await sleep(1500);
        proxy.keep = undefined;
        const { figures, state } = await shownSince(page, fromT, sentFrames);
        freezes[kind] = figures.freeze_ms;
        expect.that(figures.freeze_ms < 1000 + 900, `${kind}: frozen ${figures.freeze_ms} ms for a hole of 1 s`);
        expect.that(state === 'playing', `${kind}: state ${state}`);
      }
      const { stats } = await look(page);
      expect.that(stats.rebuilds === 0 && stats.sockets === 1, `${stats.rebuilds} rebuilds, ${stats.sockets} sockets`);
      return freezes;
    },
  },

  // P7, P8: another publisher, larger, without sound, then with it again
  changes: {
    async run({ open, weir, proxy, expect }) {
      const stream = await weir.createStream('changes');
      const sentFrames = new Map();
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`);
      await awaitState(page, 'waiting');
      const clips = [
        { size: '640x360', first: 1000, audio: 'yes' },
        { size: '1280x720', first: 2000, audio: 'no' },
        { size: '640x360', first: 3000, audio: 'yes' },
      ];
      const away = [];
      for (const clip of clips) {
        const startedAt = Date.now();
        const publisher = publish(stream.rtmpUrl, { ...clip, fps: 30, gop: 1, sentFrames });
        const frame = await awaitFrame(page, clip.first, 12_000);
        expect.that(frame, `no picture of the publisher from ${clip.first}`);
        if (frame) away.push(Math.round(frame.t - startedAt));
        await sleep(1500);
        await publisher.end('SIGTERM');
        const { stats } = await look(page);
        const width = Number(clip.size.split('x')[0]);
        expect.that(stats.width === width, `${stats.width} wide, wanted ${width}`);
      }
      const { stats, log } = await look(page);
      const { back } = judge(log.frames, { sentFrames });
      expect.that(back.length === 0, `numbers went back: ${back}`);
      expect.that(stats.sockets === 1 && stats.rebuilds === 0, `${stats.sockets} sockets, ${stats.rebuilds} rebuilds`);
      return { first_picture_ms: away };
    },
  },

  // P8: the sound stops for two seconds
  silence: {
    only: 'chromium', // what mends it is the server's
    async run({ open, weir, proxy, expect, browser }) {
      const file = join(weir.folder, `silence-${browser.name}.flv`);
      const options = { size: '640x360', fps: 30, gop: 1, duration: 8, mute: '3-5' };
      const made = await new Child('ffmpeg', 'ffmpeg', [...clipInput(options), ...clipOutput(file)]).done;
      expect.that(made.code === 0, `ffmpeg ended with ${made.code}`);
      const stream = await weir.createStream('silence');
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`);
      const publisher = new Child('publish', process.env.WEIR_BIN, ['publish', stream.rtmpUrl, file], {
        env: { PATH: process.env.PATH },
      });
      const last = await awaitFrame(page, 6.5 * 30, 20_000);
      expect.that(last, 'no picture of the second half');
      const { stats, log } = await look(page);
      const figures = judge(log.frames.filter(({ frame }) => frame > 60));
      expect.that(figures.freeze_ms < 700, `frozen ${figures.freeze_ms} ms, at ${figures.freeze_at}`);
      expect.that(stats.rebuilds === 0 && stats.sockets === 1, `${stats.rebuilds} rebuilds`);
      await publisher.end('SIGTERM');
      return { freeze_ms: figures.freeze_ms, stalls: stats.stalls };
    },
  },

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

  // P10
  hidden: {
    only: 'chromium', // the policy is the same code; it waits 10 s
    async run({ open, url, expect, proxy }) {
      const page = await open(url);
      await playing(page);
      const hide = (hidden) =>
        page.evaluate((value) => {
          Object.defineProperty(document, 'hidden', { value, configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }, hidden);
      const link = newest(proxy);
      await hide(true);
      await until('a pause in band', 15_000, () => link.said.some(({ type }) => type === 'pause'));
      await hide(false);
      const fromT = Date.now();
      await until('a resume in band', 5000, () => link.said.some(({ type }) => type === 'resume'));
      await until('pictures again', LATE_MS, async () => {
        const { log, stats } = await look(page);
        return log.frames.some(({ t }) => t > fromT + 500) && stats.latencyMs < stats.targetMs + 400;
      });
      const { stats, state } = await look(page);
      expect.that(state === 'playing' && stats.sockets === 1, `state ${state}, ${stats.sockets} sockets`);
      return { latency_ms: Math.round(stats.latencyMs) };
    },
  },

  // P11
  reconnect: {
    async run({ open, url, expect, proxy, sentFrames }) {
      const page = await open(url);
      await playing(page);
      await page.evaluate(() => {
        window.weir.muted = true;
      });
      let fromT = Date.now();
      newest(proxy).cut();
      await until('a second socket', LATE_MS, async () => (await look(page)).stats.sockets === 2);
      await awaitState(page, 'playing');
      await sleep(700);
      const cut = await shownSince(page, fromT, sentFrames);
      expect.that(cut.figures.freeze_ms < 2500, `frozen ${cut.figures.freeze_ms} ms after a cut`);
      const kept = await page.evaluate(() => ({
        width: window.weir.videoWidth,
        muted: window.weir.muted,
      }));
      expect.that(kept.width === 640 && kept.muted, `picture ${kept.width} wide, muted ${kept.muted}`);

      fromT = Date.now();
      const links = proxy.links.length;
      newest(proxy).bye(4503, 'draining', 1200);
      await until('a third socket', LATE_MS, () => proxy.links.length > links);
      const waited = newest(proxy).openedAt - fromT;
      expect.that(waited >= 1150, `back after ${waited} ms, was asked to wait 1200`);
      await awaitState(page, 'playing');

      const before = proxy.links.length;
      newest(proxy).bye(4410, 'kicked');
      await awaitState(page, 'failed');
      await sleep(1500);
      expect.that(proxy.links.length === before, 'it came back though it was told to stay away');
      return { cut_freeze_ms: cut.figures.freeze_ms, waited_ms: waited };
    },
  },

  // P12
  token: {
    only: 'chromium', // nothing of it is the browser's
    async run({ open, weir, proxy, stream, expect, sentFrames }) {
      const short = await weir.token(stream, 33);
      const fresh = await weir.token(stream, 600);
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${short}`);
      await page.evaluate((token) => {
        window.weir.getToken = async () => token;
      }, fresh);
      await playing(page);
      const fromT = Date.now();
      const link = newest(proxy);
      const renewal = await until('the new token in band', 15_000, () =>
        link.said.find(({ type }) => type === 'token'),
      );
      expect.that(renewal.token === fresh, 'another token than that of getToken');
      await sleep(1000);
      const { stats, figures } = await shownSince(page, fromT, sentFrames);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(figures.freeze_ms < 500, `frozen ${figures.freeze_ms} ms`);
      const refused = await open(`${proxy.base}/watch/${stream.playbackId}`);
      await awaitState(refused, 'failed');
      const { text } = await look(refused);
      expect.that(text.includes('needs a link with a token'), `without a token the page says: ${text}`);
      const other = await weir.createStream('another', stream.tenant);
      const elsewhere = await open(`${proxy.base}/watch/${other.playbackId}#token=${stream.token}`);
      await awaitState(elsewhere, 'failed');
      const words = (await look(elsewhere)).text;
      const code = await elsewhere.evaluate(() => window.weir.lastError.code);
      expect.that(code === 'token_elsewhere', `code ${code}`);
      expect.that(words.includes('for another stream'), `for another stream the page says: ${words}`);
    },
  },

  // P15
  blocked: {
    only: 'chromium',
    async run({ open, url, expect, sentFrames }) {
      const page = await open(url);
      await playing(page);
      await page.evaluate(() => {
        setInterval(() => {
          const until = performance.now() + 400;
          while (performance.now() < until);
        }, 1000);
      });
      await sleep(1500);
      const before = (await look(page)).stats;
      const fromT = Date.now();
      await sleep(5000);
      const { stats, figures } = await shownSince(page, fromT, sentFrames);
      expect.that(stats.inWorker, 'no worker');
      expect.that(stats.stalls - before.stalls === 0, `${stats.stalls - before.stalls} stalls`);
      expect.that(stats.seeks - before.seeks <= 1, `${stats.seeks - before.seeks} seeks`);
      const decoded = stats.framesShown + stats.framesDropped - before.framesShown - before.framesDropped;
      expect.that(decoded > 100, `${decoded} frames in 5 s`);
      expect.that(figures.latency_ms < 400, `${figures.latency_ms} ms behind`);
      return { latency_ms: figures.latency_ms, decoded };
    },
  },

  // P16, and everything on the main thread
  managed: {
    async run(world) {
      const { open, expect, proxy, stream } = world;
      const page = await open(`${proxy.base}/embed/${stream.playbackId}?autoplay=0#token=${stream.token}`);
      await page.evaluate(() => {
        const Source = window.MediaSource;
        window.ManagedMediaSource = class extends Source {
          streaming = false;
          appended = 0;
          constructor() {
            super();
            window.managed = this;
            this.addEventListener('sourceopen', () => setTimeout(() => this.#stream(true), 400));
          }
          #stream(streaming) {
            this.streaming = streaming;
            this.dispatchEvent(new Event(streaming ? 'startstreaming' : 'endstreaming'));
            if (streaming) window.streamingSince = performance.now();
          }
        };
        const append = window.SourceBuffer.prototype.appendBuffer;
        window.appendedEarly = 0;
        window.SourceBuffer.prototype.appendBuffer = function (...args) {
          if (!window.managed.streaming) window.appendedEarly += 1;
          return append.apply(this, args);
        };
        delete window.MediaSource;
        window.weir.muted = true;
        void window.weir.play();
      });
      await playing(page);
      const seen = await page.evaluate(() => ({
        early: window.appendedEarly,
        remote: window.weir.shadowRoot.querySelector('video').disableRemotePlayback,
        inWorker: window.weir.stats.inWorker,
      }));
      expect.that(seen.early === 0, `${seen.early} appends before startstreaming`);
      expect.that(seen.remote === true, 'remote playback is not disabled');
      expect.that(!seen.inWorker, 'in a worker, where the fake is not');
    },
  },

  // P20
  access: {
    async run({ open, url, expect, out, browser }) {
      const axe = await readFile(AXE, 'utf8');
      const page = await open(url);
      await playing(page);
      for (const scheme of ['light', 'dark']) {
        await page.scheme(scheme);
        await page.evaluate(axe);
        if (scheme === 'dark') await page.press('i');
        const { violations } = await page.evaluate(() => window.axe.run(document));
        const words = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
        expect.that(violations.length === 0, `${scheme}: ${words.join('; ')}`);
        await page.screenshot(`${out}${browser.name}-${scheme}.png`);
      }
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
            return element?.getAttribute('aria-label') ?? element?.localName;
          }),
        );
      }
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
      const unknown = await fetch(`${weir.base}/embed/no-such-stream`);
      expect.that(unknown.status === 404, `a frame of no stream: ${unknown.status}`);
    },
  },

  // The renderer on a canvas
  canvas: {
    async run(world) {
      const { open, expect, sentFrames } = world;
      const page = await open(embed(world, '?autoplay=0'));
      await page.evaluate(() => {
        window.hooked = 0;
        window.weir.muted = true;
        window.weir.onframe = () => {
          window.hooked += 1;
        };
        window.weir.setAttribute('renderer', 'canvas');
        void window.weir.play();
      });
      await awaitState(page, 'playing');
      const kind = await page.evaluate(() => (window.weir.player.canvas ? 'canvas' : 'fallback'));
      if (kind === 'fallback') return { kind };
      await page.evaluate(() => window.weirProbe.watchCanvas(window.weir.player.canvas));
      const fromT = Date.now();
      await sleep(4000);
      const { figures, stats } = await shownSince(page, fromT, sentFrames);
      const hooked = await page.evaluate(() => window.hooked);
      expect.that(figures.read > 60 && figures.unreadable === 0, `${figures.read} read, ${figures.unreadable} not`);
      expect.that(figures.back.length === 0, `numbers went back: ${figures.back}`);
      expect.that(hooked >= stats.framesShown - 2 && hooked > 60, `the hook saw ${hooked} of ${stats.framesShown}`);
      expect.that(figures.latency_ms < 250, `${figures.latency_ms} ms`);
      return { kind, latency_ms: figures.latency_ms, stats_ms: Math.round(stats.latencyMs), fps: stats.fps };
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

  // P18, with both renderers; Firefox plays no audio graph on machines without a sound device
  sync: {
    only: 'chromium',
    async run({ open, weir, proxy, expect }) {
      const stream = await weir.createStream('sync');
      const publisher = publish(stream.rtmpUrl, { ...BEEP, sentFrames: new Map() });
      const apart = {};
      for (const renderer of ['', 'canvas']) {
        const page = await open(`${proxy.base}/embed/${stream.playbackId}?autoplay=0#token=${stream.token}`);
        await page.evaluate(hearAndSee, renderer);
        await awaitState(page, 'playing', 15_000);
        await sleep(4000);
        const { flashes, beeps, muted } = await page.evaluate(() => ({ ...window.noted, muted: window.weir.muted }));
        const off = flashes.map((at) => beeps.map((beep) => beep - at).sort((a, b) => Math.abs(a) - Math.abs(b))[0]);
        const name = renderer || 'video';
        apart[name] = Math.round(median(off));
        expect.that(!muted && off.length >= 2, `${name}: muted ${muted}, ${off.length} flashes, ${beeps.length} beeps`);
        expect.that(Math.abs(apart[name]) < 80, `${name}: beep ${apart[name]} ms after the flash`);
        await page.close();
      }
      await publisher.end('SIGTERM');
      return apart;
    },
  },

  audioonly: {
    async run(world) {
      const { open, expect, proxy } = world;
      const page = await open(embed(world, '?autoplay=0'));
      await page.evaluate(() => {
        window.weir.muted = true;
        window.weir.setAttribute('audio-only', '');
        void window.weir.play();
      });
      await awaitState(page, 'playing');
      const asked = await until('a tracks message', LATE_MS, () =>
        newest(proxy).said.find(({ type }) => type === 'tracks'),
      );
      expect.that(asked.video === false && asked.audio === true, `asked for ${JSON.stringify(asked)}`);
      const time = () => page.evaluate(() => [window.weir.currentTime, window.weir.videoWidth]);
      const [from, width] = await time();
      await sleep(1500);
      const [to] = await time();
      expect.that(width === 0, `a picture ${width} wide`);
      expect.that(to - from > 1 && to - from < 2.5, `${to - from} s of sound in 1.5 s`);
    },
  },
};
