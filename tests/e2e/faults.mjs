#!/usr/bin/env node
// Plays the page against a server that makes faults to order, in both browsers:
//   node faults.mjs [scenario ...]      WEIR_E2E_BROWSERS=chromium picks one

import { mkdir } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { makeClips } from './lib/fragments.mjs';
import { Expectations, judge } from './lib/judge.mjs';
import { startMock } from './lib/mock.mjs';
import { sleep } from './lib/processes.mjs';
import { account, look, openPage } from './lib/session.mjs';
import { clips, faults } from './scenarios/faults.mjs';

const here = (path) => new URL(path, import.meta.url).pathname;
const OUT = here('out/');

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
    const tolerated = unreadable + (browser.name === 'firefox' ? 1 : 0); // a picture in the middle of a change
    if (!silent) expectPicture(expect, { ...seen, all, end, latency, unreadable: tolerated });
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
  const names = Object.keys(faults).filter((name) => wanted.length === 0 || wanted.includes(name));
  if (names.length === 0) throw new Error(`no such scenario; there are ${Object.keys(faults).join(', ')}`);
  await mkdir(OUT, { recursive: true });
  const clip = await makeClips(clips);
  let passed = 0;
  let failed = 0;
  for (const browserName of wantedBrowsers()) {
    const scripts = Object.fromEntries(names.map((name) => [name, faults[name].script(clip)]));
    const mock = await startMock({ dist: here('../../player/dist/'), scripts });
    const browser = await launch(browserName);
    try {
      for (const name of names) {
        if (await play(browser, mock.base, mock, name, faults[name])) passed += 1;
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
