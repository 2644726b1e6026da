#!/usr/bin/env node
// Plays the page against a server that makes faults to order, in both browsers:
//   node faults.mjs [scenario ...]      WEIR_E2E_BROWSERS=chromium picks one

import { mkdir } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { makeClip } from './lib/fragments.mjs';
import { Expectations, judge } from './lib/judge.mjs';
import { startMock } from './lib/mock.mjs';
import { sleep } from './lib/processes.mjs';
import { account, look, openPage } from './lib/session.mjs';

const here = (path) => new URL(path, import.meta.url).pathname;
const OUT = here('out/');
const SECONDS = 14;

const clips = {
  plain: { duration: SECONDS },
  bframes: { duration: SECONDS, bframes: 2 },
  silent: { duration: SECONDS, audio: 'no' },
  large: { duration: SECONDS, size: '1280x720', first: 1000, bitrate: '2000k' },
  av1: { duration: 6, size: '320x180', first: 2000, codec: 'av1', bitrate: '400k' },
};

// `check` gets ({ expect, all, end, log, stream, stats }): figures over all and over the last 2.5 s.
const scenarios = {
  plain: {
    seconds: 7,
    script: (clip) => ({ clip: clip.plain }),
    check: ({ expect, all, stats, stream }) => {
      expect.that(stats.firstFrameMs < 1000, `first frame after ${stats.firstFrameMs} ms`);
      expect.that(all.shown_share >= 0.9, `only ${all.shown_share} of the frames shown`);
      expect.that(Math.abs(all.latency_ms - all.player_latency_ms) < 80, 'stats.latency is off');
      expect.that(all.freeze_ms < 400, `frozen ${all.freeze_ms} ms`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(
        stream.received.some((message) => message.type === 'time'),
        'no time message',
      );
    },
  },
  bframes: { seconds: 7, latency: 750, script: (clip) => ({ clip: clip.bframes }) },
  silent: { seconds: 5, script: (clip) => ({ clip: clip.silent }) },
  hole50: {
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.05)] }),
    check: frozenAtMost(550),
  },
  hole90: {
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.09)] }),
    check: frozenAtMost(590),
  },
  hole300: {
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.3)] }),
    check: ({ expect, ...seen }) => {
      frozenAtMost(800)({ expect, ...seen });
      expect.that(seen.stats.stalls <= 1, `counted as ${seen.stats.stalls} stalls`);
    },
  },
  stall: {
    seconds: 9,
    script: (clip) => ({ clip: clip.plain, holdFrom: 3, holdTo: 5 }),
    check: ({ expect, all, stats }) => {
      expect.that(all.max_rate <= 1.15, `rate ${all.max_rate}`);
      expect.that(stats.seeks <= 1, `${stats.seeks} seeks`);
      expect.that(all.freeze_ms < 2600, `frozen ${all.freeze_ms} ms`);
    },
  },
  gap: {
    seconds: 9,
    script: (clip) => ({
      clip: clip.plain,
      keep: (sample, at) => sample.kind === 'audio' || at <= 4 || at > 6,
      events: [{ at: 4.5, do: (stream) => stream.announceGap(4, 60) }],
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.gaps === 1, `${stats.gaps} gaps counted`);
      expect.that(all.freeze_ms < 2600, `frozen ${all.freeze_ms} ms`);
    },
  },
  // Frames lost in the middle of a group of pictures: broken or frozen until the next keyframe, then well again
  midgop: {
    seconds: 9,
    unreadable: 60,
    script: (clip) => ({
      clip: clip.plain,
      keep: (sample, at) => sample.kind === 'audio' || at <= 4.5 || at > 4.7,
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.rebuilds <= 1 && stats.sockets === 1, `${stats.rebuilds} rebuilds, ${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 2000 + 500, `frozen ${all.freeze_ms} ms`);
    },
  },
  dropped: {
    seconds: 8,
    script: (clip) => ({ clip: clip.plain, events: [{ at: 4, do: (stream) => stream.drop() }] }),
    check: ({ expect, stats, all }) => {
      expect.that(stats.sockets === 2, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1200, `frozen ${all.freeze_ms} ms`);
    },
  },
  restarted: {
    seconds: 8,
    script: (clip) => ({ clip: clip.plain, events: [{ at: 4.015, do: (stream) => stream.restart(-5) }] }),
    check: ({ expect, stats, all }) => {
      expect.that(stats.sockets === 2, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1500, `frozen ${all.freeze_ms} ms`);
    },
  },
  damaged: {
    seconds: 9,
    unreadable: 80,
    script: (clip) => ({
      clip: clip.plain,
      damage: (sample, at) => sample.kind === 'video' && at > 3 && at < 3.1,
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.rebuilds <= 1, `${stats.rebuilds} rebuilds`);
      expect.that(all.freeze_ms < 3000, `frozen ${all.freeze_ms} ms`);
    },
  },
  resolution: {
    seconds: 8,
    script: (clip) => ({
      clip: clip.plain,
      events: [{ at: 4, do: (stream) => stream.switchClip(clip.large) }],
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.width === 1280, `picture is ${stats.width} wide`);
      expect.that(stats.rebuilds === 0, `${stats.rebuilds} rebuilds`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 700, `frozen ${all.freeze_ms} ms`);
    },
  },
  // P7: another codec, and back, in the same MediaSource
  codec: {
    seconds: 11,
    script: (clip) => ({
      clip: clip.plain,
      events: [
        { at: 4, do: (stream) => stream.switchClip(clip.av1) },
        { at: 7, do: (stream) => stream.switchClip(clip.large) },
      ],
    }),
    check: ({ expect, all, stats, log }) => {
      const numbers = log.frames.map(({ frame }) => frame);
      expect.that(numbers.some((n) => n >= 2000 && n < 3000), 'nothing of the second codec was shown');
      expect.that(stats.width === 1280, `picture is ${stats.width} wide`);
      expect.that(stats.rebuilds === 0 && stats.sockets === 1, `${stats.rebuilds} rebuilds, ${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1000, `frozen ${all.freeze_ms} ms`);
    },
  },
  publisher: {
    seconds: 9,
    script: (clip) => ({
      clip: clip.plain,
      events: [
        { at: 3, do: (stream) => stream.setState('interrupted') },
        {
          at: 5,
          do: (stream) => {
            stream.setState('live');
            stream.switchClip(clip.large);
          },
        },
      ],
    }),
    check: ({ expect, stats, log, all }) => {
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(
        log.states.some(({ stream }) => stream === 'interrupted'),
        'never said interrupted',
      );
      expect.that(all.freeze_ms < 2700, `frozen ${all.freeze_ms} ms`);
    },
  },
  lateaudio: {
    seconds: 7,
    script: (clip) => ({
      clip: clip.plain,
      hideTracks: ['audio'],
      events: [{ at: 4.5, do: (stream) => stream.showTrack('audio') }],
    }),
    check: ({ expect, all }) => expect.that(all.freeze_ms < 900, `frozen ${all.freeze_ms} ms`),
  },
  unsupported: {
    seconds: 3,
    script: (clip) => ({
      clip: clip.plain,
      codec: { video: { codec: 'xvid.1', mime: 'video/mp4; codecs="xvid.1"' } },
    }),
    check: ({ expect, log, stream, text }) => {
      expect.that(
        log.states.some(({ code }) => code === 'codec'),
        'no codec error',
      );
      expect.that(text.includes("isn't supported by this browser"), `the page says: ${text}`);
      const asked = stream.received.find((message) => message.type === 'tracks');
      expect.that(asked?.video === false && asked?.audio === true, `asked for ${JSON.stringify(asked)}`);
    },
    silent: true,
  },
  refused: {
    seconds: 1.5,
    script: (clip) => ({
      clip: clip.plain,
      refuse: { status: 401, title: 'invalid token', code: 'unauthorized' },
    }),
    check: ({ expect, text, state }) => {
      expect.that(state === 'failed', `state ${state}`);
      expect.that(text.includes('not valid'), `the page says: ${text}`);
    },
    silent: true,
  },
};

function skew(at, seconds) {
  return {
    at,
    do: (stream) => {
      stream.skewS += seconds;
      for (const item of stream.items) item.at += seconds;
    },
  };
}

function frozenAtMost(ms) {
  return ({ expect, all }) => expect.that(all.freeze_ms < ms, `frozen ${all.freeze_ms} ms`);
}

async function play(browser, base, mock, id, { seconds, check, silent, latency = 450, unreadable = 0 }) {
  const page = await openPage(browser, `${base}/watch/${id}#token=a.b.c`, { width: 1000, height: 640 });
  const expect = new Expectations();
  try {
    await sleep(seconds * 1000);
    const seen = await look(page);
    await page.screenshot(`${OUT}${browser.name}-${id}.png`);
    const stream = mock.stream(id);
    const { frames } = seen.log;
    const endT = frames.at(-1)?.t ?? 0;
    const all = judge(frames, { sentFrames: stream.sentFrames });
    const end = judge(frames, { sentFrames: stream.sentFrames, fromT: endT - 2500 });
    expect.that(seen.log.violations.length === 0, `policy: ${seen.log.violations.join('; ')}`);
    expect.that(seen.log.errors.length === 0, `page errors: ${seen.log.errors.join('; ')}`);
    if (!silent) expectPicture(expect, { ...seen, all, end, latency, unreadable });
    check?.({ ...seen, expect, all, end, stream });
    report(browser.name, id, { seen, all, end, expect, lines: page.console });
  } finally {
    await page.close();
    mock.stream(id).stop();
  }
  return expect.failed.length === 0;
}

/** What holds after every fault: it plays again, in order, near the live edge. */
function expectPicture(expect, { state, all, end, latency, unreadable }) {
  expect.that(state === 'playing', `state ${state}`);
  expect.that(all.unreadable <= unreadable, `${all.unreadable} frames without a number`);
  expect.that(all.back.length <= 1, `numbers went back: ${all.back.join(' ')}`);
  expect.that(end.distinct > 30, `only ${end.distinct} frames in the last 2.5 s`);
  expect.that(end.latency_ms < latency, `latency ${end.latency_ms} ms at the end`);
}

function report(browser, id, { seen, all, end, expect, lines }) {
  const { stats, log } = seen;
  const figures = {
    first_frame_ms: Math.round(stats?.firstFrameMs ?? -1),
    latency_ms: end.latency_ms,
    player_latency_ms: end.player_latency_ms,
    freeze_ms: all.freeze_ms,
    shown: all.shown_share,
    stalls: stats?.stalls,
    seeks: stats?.seeks,
    rate: all.max_rate,
    sockets: stats?.sockets,
  };
  const verdict = expect.failed.length === 0 ? 'ok  ' : 'FAIL';
  console.log(`${verdict} ${browser.padEnd(8)} ${id.padEnd(11)} ${JSON.stringify(figures)}`);
  if (expect.failed.length === 0 && !process.env.WEIR_E2E_VERBOSE) return;
  for (const message of expect.failed) console.log(`     - ${message}`);
  console.log(`     ${JSON.stringify({ all, end })}\n${account(seen, lines)}`);
}

async function main() {
  const wanted = process.argv.slice(2);
  const names = Object.keys(scenarios).filter((name) => wanted.length === 0 || wanted.includes(name));
  if (names.length === 0) throw new Error(`no such scenario; there are ${Object.keys(scenarios).join(', ')}`);
  await mkdir(OUT, { recursive: true });
  const made = await Promise.all(
    Object.entries(clips).map(async ([name, options]) => [name, await makeClip(options)]),
  );
  const clip = Object.fromEntries(made);
  let passed = 0;
  let failed = 0;
  for (const browserName of wantedBrowsers()) {
    const scripts = Object.fromEntries(names.map((name) => [name, scenarios[name].script(clip)]));
    const mock = await startMock({ dist: here('../../player/dist/'), scripts });
    const browser = await launch(browserName);
    try {
      for (const name of names) {
        if (await play(browser, mock.base, mock, name, scenarios[name])) passed += 1;
        else failed += 1;
      }
    } finally {
      await browser.close();
      await mock.close();
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
