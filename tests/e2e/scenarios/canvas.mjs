// The renderer on a canvas, and sound and picture together with both (P18).

import { median } from '../lib/judge.mjs';
import { sleep, until } from '../lib/processes.mjs';
import { publish } from '../lib/publisher.mjs';
import { awaitFrame, look } from '../lib/session.mjs';
import { awaitState, embed, LATE_MS, playing, shownSince } from './support.mjs';

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

/** In the page: ways in which WebCodecs is not there, or does not do. */
const SPOILERS = {
  missing: () => {
    delete window.VideoDecoder;
  },
  unsupported: () => {
    window.VideoDecoder = class {
      static isConfigSupported = async () => ({ supported: false });
      state = 'unconfigured';
      configure() {}
      close() {}
    };
  },
  broken: () => {
    window.VideoDecoder = class {
      static isConfigSupported = async () => ({ supported: true });
      state = 'unconfigured';
      decodeQueueSize = 0;
      #error;
      constructor({ error }) {
        this.#error = error;
      }
      configure() {
        this.state = 'configured';
      }
      decode() {
        this.close();
        setTimeout(() => this.#error(new DOMException('broken', 'EncodingError')));
      }
      close() {
        this.state = 'closed';
      }
    };
  },
};

const BEEP = { size: '640x360', fps: 30, gop: 1, beep: 'yes' };

export const canvas = {
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

  // Where the canvas can't work, the usual renderer plays
  fallback: {
    async run(world) {
      const { open, expect, sentFrames } = world;
      const kinds = {};
      for (const [name, spoil] of Object.entries(SPOILERS)) {
        const page = await open(embed(world, '?autoplay=0'));
        await page.evaluate(spoil);
        await page.evaluate(() => {
          window.weir.muted = true;
          window.weir.setAttribute('renderer', 'canvas');
          void window.weir.play();
        });
        await until(`${name}: the usual renderer`, LATE_MS, () =>
          page.evaluate(() => window.weir.player && !window.weir.player.canvas),
        );
        await playing(page);
        const fromT = Date.now();
        await sleep(1500);
        const { figures, text } = await shownSince(page, fromT, sentFrames);
        expect.that(figures.read > 15 && figures.unreadable === 0, `${name}: ${figures.read} read, ${figures.unreadable} not`);
        const canvases = await page.evaluate(() => window.weir.shadowRoot.querySelectorAll('.media canvas').length);
        expect.that(canvases === 0, `${name}: a canvas is left over it`);
        kinds[name] = figures.read;
        expect.that(!text.includes('could not be decoded'), `${name}: the page says ${text}`);
        await page.close();
      }
      return kinds;
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
};
