// What is shown: in order, in time, after every fault of the media (P1 to P8, P13 to P16, P19).

import { join } from 'node:path';
import { clipInput, clipOutput } from '../lib/clip.mjs';
import { makeAv1Flv } from '../lib/enhanced_flv.mjs';
import { judge } from '../lib/judge.mjs';
import { Child, sleep, until } from '../lib/processes.mjs';
import { chunkFacts } from '../lib/proxy.mjs';
import { publish } from '../lib/publisher.mjs';
import { awaitFrame, look } from '../lib/session.mjs';
import { awaitState, embed, LATE_MS, metric, newest, playing, said, shownSince } from './support.mjs';

/** A file by `weir publish`, in real time. */
function publishFile(url, file) {
  return new Child('publish', process.env.WEIR_BIN, ['publish', url, file], { env: { PATH: process.env.PATH } });
}

export const media = {
  // P1, P2, P3, P13, P19
  steady: {
    async run({ open, url, expect, sentFrames, weir, stream, proxy, out, browser }) {
      const counted = () => metric(weir, 'viewer_latency_seconds_count');
      const sent = () => said(proxy, 'stats').filter((message) => message.latency_ms !== null).length;
      const pastProxy = (await counted()) - sent(); // by players of other scenarios
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
      const count = (await counted()) - pastProxy;
      expect.that(count === sent(), `the server counts ${count} reports, ${sent()} were sent`);
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

  // AV1 by Enhanced RTMP
  av1: {
    async run({ open, weir, proxy, expect, browser }) {
      const options = { size: '640x360', fps: 30, gop: 1, duration: 4 };
      const file = await makeAv1Flv(weir.folder, `av1-${browser.name}`, options);
      const stream = await weir.createStream('av1');
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`);
      await awaitState(page, 'waiting');
      const publisher = publishFile(stream.rtmpUrl, file);
      expect.that(await awaitFrame(page, 100, 20_000), `no picture of the last second\n${publisher.tail()}`);
      const { log, stats } = await look(page);
      const figures = judge(log.frames);
      expect.that(figures.unreadable === 0, `${figures.unreadable} pictures were broken`);
      expect.that(figures.back.length === 0, `numbers went back: ${figures.back}`);
      expect.that(figures.distinct >= 60, `${figures.distinct} pictures of 100`);
      expect.that(stats.rebuilds === 0, `${stats.rebuilds} rebuilds`);
      await publisher.end('SIGTERM');
      return { pictures: figures.distinct, width: stats.width };
    },
  },

  // P8: the sound stops for two seconds
  silence: {
    async run({ open, weir, proxy, expect, browser }) {
      const file = join(weir.folder, `silence-${browser.name}.flv`);
      const options = { size: '640x360', fps: 30, gop: 1, duration: 8, mute: '3-5' };
      const made = await new Child('ffmpeg', 'ffmpeg', [...clipInput(options), ...clipOutput(file)]).done;
      expect.that(made.code === 0, `ffmpeg ended with ${made.code}`);
      const stream = await weir.createStream('silence');
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`);
      const publisher = publishFile(stream.rtmpUrl, file);
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

  // P13: the browser says that its buffer is full
  full: {
    async run(world) {
      const { open, expect, sentFrames } = world;
      const page = await open(embed(world, '?autoplay=0'));
      await page.evaluate(() => {
        Object.defineProperty(MediaSource, 'canConstructInDedicatedWorker', { value: false });
        window.full = { refused: 0, removed: 0 };
        const { appendBuffer, remove } = SourceBuffer.prototype;
        SourceBuffer.prototype.appendBuffer = function (bytes) {
          if (window.fullNow > 0) {
            window.fullNow -= 1;
            window.full.refused += 1;
            throw new DOMException('no room', 'QuotaExceededError');
          }
          return appendBuffer.call(this, bytes);
        };
        SourceBuffer.prototype.remove = function (...range) {
          window.full.removed += 1;
          return remove.apply(this, range);
        };
        window.weir.muted = true;
        void window.weir.play();
      });
      await playing(page);
      await sleep(3500); // so that there is something behind the picture
      const fromT = Date.now();
      await page.evaluate(() => {
        window.fullNow = 1;
      });
      await until('a refusal', LATE_MS, () => page.evaluate(() => window.full.refused === 1));
      await sleep(2000);
      const { figures, stats, state } = await shownSince(page, fromT, sentFrames);
      const { removed } = await page.evaluate(() => window.full);
      expect.that(removed > 0, 'nothing was removed');
      expect.that(state === 'playing' && stats.rebuilds === 0, `state ${state}, ${stats.rebuilds} rebuilds`);
      expect.that(figures.freeze_ms < 1000, `frozen ${figures.freeze_ms} ms`);
      expect.that(!stats.inWorker, 'in a worker, where the refusal is not');
      return { freeze_ms: figures.freeze_ms, removed };
    },
  },
};
