#!/usr/bin/env node
// Figures for player/README.md, from a machine that does nothing else, as Markdown tables on standard output:
//   WEIR_BIN=target/release/weir node measure.mjs [--seconds 30] [--repeats 1] [--only latency|faults] [--kinds sound,silent]
// `--seconds` of watching for each row of the first table, `--repeats` of each fault. WEIR_E2E_BROWSERS=chromium picks
// one browser. It takes about 3 x (seconds + 12) + 110 x repeats seconds for each browser.

import { access } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { makeClips } from './lib/fragments.mjs';
import { judge } from './lib/judge.mjs';
import { startMock } from './lib/mock.mjs';
import { endAll, sleep, until } from './lib/processes.mjs';
import { publish } from './lib/publisher.mjs';
import { awaitFrame, look } from './lib/session.mjs';
import { startWeir } from './lib/weir.mjs';
import { clips, faults } from './scenarios/faults.mjs';

const STARTS = 5;
const SETTLE_MS = 3000;
const CLIP = { size: '1280x720', fps: 30, gop: 1, bitrate: '2500k' };
/** Streams, and who watches them how. */
const KINDS = {
  sound: { title: 'with sound', audio: 'yes', goalMs: 250 },
  silent: { title: 'without sound', audio: 'no', goalMs: 80 },
  canvas: { title: 'without sound, on a canvas', audio: 'no', renderer: 'canvas' },
};

const log = (line) => console.error(line);

function wanted() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '30' },
      repeats: { type: 'string', default: '1' },
      only: { type: 'string' },
      kinds: { type: 'string', default: Object.keys(KINDS).join() },
    },
  });
  const number = (name, least) => {
    const value = Number(values[name]);
    if (!(value >= least)) throw new Error(`--${name} ${values[name]}: a number of at least ${least} is wanted`);
    return value;
  };
  const parts = ['latency', 'faults'];
  if (values.only !== undefined && !parts.includes(values.only)) {
    throw new Error(`--only ${values.only}: none of ${parts.join(', ')}`);
  }
  const kinds = values.kinds.split(',');
  const unknown = kinds.find((kind) => !KINDS[kind]);
  if (unknown !== undefined) throw new Error(`--kinds ${unknown}: none of ${Object.keys(KINDS).join(', ')}`);
  return {
    kinds,
    seconds: number('seconds', 2),
    repeats: number('repeats', 1),
    parts: values.only ? [values.only] : parts,
  };
}

function quantile(values, share) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
}

const spread = (values) => `${quantile(values, 0.5)} / ${quantile(values, 0.95)}`;

async function open(browser, url) {
  const page = await browser.newPage();
  await page.goto(url);
  if (!(await awaitFrame(page, 0, 15_000))) throw new Error('no picture in 15 s');
  return page;
}

/** First pictures, then a while of watching. */
async function watch(browser, { renderer, url, sentFrames }, seconds) {
  const starts = [];
  for (let n = 0; n < STARTS; n++) {
    const page = await open(browser, url);
    await sleep(300);
    starts.push((await look(page)).stats.firstFrameMs);
    await page.close();
  }
  const page = await open(browser, url);
  if (renderer) {
    await page.evaluate((name) => window.weir.setAttribute('renderer', name), renderer);
    await until('the canvas', 10_000, () => page.evaluate(() => window.weir.player?.canvas?.width > 0));
    await page.evaluate(() => window.weirProbe.watchCanvas(window.weir.player.canvas));
  }
  await sleep(SETTLE_MS);
  const fromT = Date.now();
  await sleep(seconds * 1000);
  const seen = await look(page);
  await page.close();
  const frames = seen.log.frames.filter(({ t, frame }) => t >= fromT && frame !== null);
  const { freeze_ms, shown_share, read_share } = judge(frames, { sentFrames });
  return {
    starts,
    sent: frames.map(({ t, frame }) => t - sentFrames.get(frame)),
    own: frames.map(({ latency_ms }) => latency_ms ?? Number.NaN),
    shown: renderer ? read_share : shown_share,
    freeze_ms,
    stalls: seen.stats.stalls,
    target_ms: Math.round(seen.stats.targetMs),
  };
}

async function latency(seconds, kinds) {
  const weir = await startWeir(process.env.WEIR_BIN);
  const rows = [];
  try {
    for (const name of wantedBrowsers()) {
      const browser = await launch(name);
      try {
        for (const kind of kinds) {
          const { title, audio, goalMs, renderer } = KINDS[kind];
          const stream = await weir.createStream(`${name} ${kind}`);
          const sentFrames = new Map();
          const publisher = publish(stream.rtmpUrl, { ...CLIP, audio, sentFrames });
          await until('the stream to be live', 15_000, async () => {
            return (await weir.ask(stream.playbackId, stream.token)).body?.state === 'live';
          });
          const seen = await watch(browser, { renderer, url: stream.pageUrl, sentFrames }, seconds);
          await publisher.end('SIGTERM');
          rows.push({ name, title, goalMs, ...seen });
          log(`${name} ${kind}: ${spread(seen.sent)} ms`);
        }
      } finally {
        await browser.close();
      }
    }
  } finally {
    await weir.stop();
  }
  return rows;
}

/** How long the picture stood still, each time. */
async function recovery(repeats) {
  const clip = await makeClips(clips);
  const names = Object.keys(faults).filter((name) => faults[name].title);
  const frozen = new Map(names.map((name) => [name, {}]));
  for (const browserName of wantedBrowsers()) {
    const browser = await launch(browserName);
    try {
      for (let repeat = 0; repeat < repeats; repeat++) {
        const scripts = Object.fromEntries(names.map((name) => [name, faults[name].script(clip)]));
        const mock = await startMock({ dist: new URL('../../player/dist/', import.meta.url).pathname, scripts });
        for (const name of names) {
          const page = await browser.newPage();
          await page.goto(`${mock.base}/watch/${name}#token=a.b.c`);
          await sleep(faults[name].seconds * 1000);
          const { freeze_ms } = judge((await look(page)).log.frames);
          await page.close();
          mock.stream(name).stop();
          const times = frozen.get(name);
          times[browserName] = [...(times[browserName] ?? []), freeze_ms];
          log(`${browserName} ${name}: ${freeze_ms} ms`);
        }
        await mock.close();
      }
    } finally {
      await browser.close();
    }
  }
  return frozen;
}

function printLatency(rows, seconds) {
  console.log(`\nEncoder to screen over ${seconds} s, by the frame numbers in the picture; ms, p50 / p95.\n`);
  console.log('| browser | stream | encoder to screen | goal, p50 | server to screen | first picture | shown | longest freeze | target |');
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const { name, title, goalMs, sent, own, starts, shown, freeze_ms, target_ms } of rows) {
    const share = `${(shown * 100).toFixed(1)} %`;
    const cells = [name, title, spread(sent), goalMs ?? '–', spread(own), spread(starts), share, freeze_ms, target_ms];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function printRecovery(frozen, repeats) {
  const browsers = wantedBrowsers();
  console.log(`\nLongest freeze after a fault, ms: median of ${repeats}. The goal is the hole itself and 500.\n`);
  console.log(`| fault | goal | ${browsers.join(' | ')} |`);
  console.log(`|---|---|${browsers.map(() => '---|').join('')}`);
  for (const [name, times] of frozen) {
    const { title, holeMs } = faults[name];
    console.log(`| ${title} | ${holeMs + 500} | ${browsers.map((browser) => quantile(times[browser], 0.5)).join(' | ')} |`);
  }
}

async function main() {
  const { seconds, repeats, parts, kinds } = wanted();
  if (parts.includes('latency')) {
    if (!process.env.WEIR_BIN) throw new Error('WEIR_BIN is not set: the path of the weir binary');
    await access(process.env.WEIR_BIN);
  }
  const load = () => loadavg()[0].toFixed(2);
  console.log(`${cpus().length} x ${cpus()[0].model}, load ${load()} before`);
  if (parts.includes('latency')) printLatency(await latency(seconds, kinds), seconds);
  if (parts.includes('faults')) printRecovery(await recovery(repeats), repeats);
  console.log(`\nLoad ${load()} after, of which the browser and the encoder are a part.`);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} catch (error) {
  console.error(`FAIL ${error.stack}`);
  process.exitCode = 1;
} finally {
  await endAll();
}
