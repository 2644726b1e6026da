#!/usr/bin/env node
// Figures for player/README.md, from a machine that does nothing else:
//   WEIR_BIN=target/release/weir node measure.mjs      WEIR_E2E_SECONDS (30) of each, both browsers

import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { judge } from './lib/judge.mjs';
import { endAll, sleep, until } from './lib/processes.mjs';
import { publish } from './lib/publisher.mjs';
import { awaitFrame, look } from './lib/session.mjs';
import { startWeir } from './lib/weir.mjs';

const SECONDS = Number(process.env.WEIR_E2E_SECONDS ?? 30);
const STARTS = 5;
const CLIP = { size: '1280x720', fps: 30, gop: 1, bitrate: '2500k' };

function quantiles(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return { p50: at(0.5), p95: at(0.95), n: sorted.length };
}

async function open(browser, url) {
  const page = await browser.newPage();
  await page.goto(url);
  if (!(await awaitFrame(page, 0, 10_000))) throw new Error('no picture');
  return page;
}

async function measure(browser, kind, { url, sentFrames }) {
  const starts = [];
  for (let n = 0; n < STARTS; n++) {
    const page = await open(browser, url);
    await sleep(300);
    starts.push((await look(page)).stats.firstFrameMs);
    await page.close();
  }
  const page = await open(browser, url);
  if (kind === 'canvas') {
    await page.evaluate(() => {
      window.weir.setAttribute('renderer', 'canvas');
    });
    await until('the canvas', 10_000, () => page.evaluate(() => window.weir.player?.canvas?.width > 0));
    await page.evaluate(() => window.weirProbe.watchCanvas(window.weir.player.canvas));
  }
  await sleep(3000);
  const fromT = Date.now();
  await sleep(SECONDS * 1000);
  const { log, stats } = await look(page);
  await page.close();
  const frames = log.frames.filter(({ t, frame }) => t >= fromT && frame !== null);
  const { shown_share, freeze_ms } = judge(frames, { sentFrames });
  return {
    browser: browser.name,
    kind,
    first_picture_ms: quantiles(starts),
    encoder_to_screen_ms: quantiles(frames.map(({ t, frame }) => t - sentFrames.get(frame))),
    server_to_screen_ms: quantiles(frames.map(({ latency_ms }) => latency_ms ?? Number.NaN)),
    shown_share,
    freeze_ms,
    stalls: stats.stalls,
    target_ms: Math.round(stats.targetMs),
  };
}

const weir = await startWeir(process.env.WEIR_BIN);
try {
  const streams = {};
  for (const [kind, audio] of [['sound', 'yes'], ['silent', 'no']]) {
    const stream = await weir.createStream(kind);
    streams[kind] = { stream, audio, sentFrames: new Map(), url: stream.pageUrl };
  }
  streams.canvas = { ...streams.silent, stream: await weir.createStream('canvas'), sentFrames: new Map() };
  streams.canvas.url = streams.canvas.stream.pageUrl;
  for (const name of wantedBrowsers()) {
    const browser = await launch(name);
    try {
      for (const [kind, world] of Object.entries(streams)) {
        world.sentFrames.clear();
        const publisher = publish(world.stream.rtmpUrl, { ...CLIP, audio: world.audio, sentFrames: world.sentFrames });
        await until('the stream', 10_000, async () => {
          return (await weir.ask(world.stream.playbackId, world.stream.token)).body?.state === 'live';
        });
        console.log(JSON.stringify(await measure(browser, kind, world)));
        await publisher.end('SIGTERM');
      }
    } finally {
      await browser.close();
    }
  }
} finally {
  await weir.stop();
  await endAll();
}
