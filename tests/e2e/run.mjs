#!/usr/bin/env node
// The whole way: a real server, ffmpeg as publisher, the watch page in both browsers.
//   WEIR_BIN=target/release/weir node run.mjs      WEIR_E2E_BROWSERS=chromium picks one

import { access, mkdir } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { Expectations, judge } from './lib/judge.mjs';
import { endAll, sleep, until } from './lib/processes.mjs';
import { publish } from './lib/publisher.mjs';
import { account, awaitFrame, look, openPage } from './lib/session.mjs';
import { startWeir } from './lib/weir.mjs';

const OUT = new URL('out/', import.meta.url).pathname;
const CLIP = { size: '640x360', fps: 30, gop: 2 };
const STEADY_S = 8;
const AWAY_S = 2; // the publisher is gone this long
const RETURN_MS = 8000;
const NUMBERS_APART = 4000; // each publisher counts from a number of its own

let publishers = 0;

function startPublisher(stream, sentFrames) {
  publishers += 1;
  return publish(stream.rtmpUrl, { ...CLIP, sentFrames, first: publishers * NUMBERS_APART });
}

async function awaitLive(weir, stream, publisher) {
  await until('the stream to be live', 10_000, async () => {
    if (publisher.exit) {
      const words = `ffmpeg ended with ${publisher.exit.code}\n${publisher.tail()}`;
      throw Object.assign(new Error(words), { fatal: true });
    }
    const { status, body } = await weir.ask(stream.playbackId, stream.token);
    if (status !== 200) throw new Error(`GET /live/${stream.playbackId}: ${status} ${JSON.stringify(body)}`);
    return body?.state === 'live' ? body : undefined;
  });
}

async function checkRefusals(weir, stream, expect) {
  const without = await weir.ask(stream.playbackId);
  expect.that(without.status === 401, `GET /live without a token: ${without.status}, wanted 401`);
  const unknown = await weir.ask('no-such-stream', stream.token);
  expect.that(
    [401, 404].includes(unknown.status),
    `GET /live/no-such-stream: ${unknown.status}, wanted 401 or 404`,
  );
}

/** Joins in mid-GOP, plays, loses the publisher, gets it back on the same socket. */
async function watch(browser, stream, live) {
  const expect = new Expectations();
  const page = await openPage(browser, stream.pageUrl);
  try {
    const began = await awaitFrame(page, 0, 10_000);
    expect.that(began, 'no readable picture within 10 s');
    if (began) await sleep(STEADY_S * 1000);
    await page.screenshot(`${OUT}${browser.name}-live.png`);
    const steady = judge((await look(page)).log.frames, live);
    if (began) expectSteady(expect, steady, await look(page));

    let returned;
    if (began) {
      await live.publisher.end('SIGKILL');
      await sleep(AWAY_S * 1000);
      await page.screenshot(`${OUT}${browser.name}-interrupted.png`);
      const startedAt = Date.now();
      live.publisher = startPublisher(stream, live.sentFrames);
      const first = publishers * NUMBERS_APART;
      const frame = await awaitFrame(page, first, RETURN_MS);
      expect.that(
        frame,
        `no picture of the restarted publisher (from number ${first}) within ${RETURN_MS} ms`,
      );
      await sleep(3000);
      const seen = await look(page);
      const frames = seen.log.frames.filter((entry) => entry.frame === null || entry.frame >= first);
      returned = { after_ms: frame ? Math.round(frame.t - startedAt) : null, ...judge(frames, live) };
      expectReturned(expect, returned, seen);
    }
    const seen = await look(page);
    await page.screenshot(`${OUT}${browser.name}-end.png`);
    const verdict = expect.failed.length === 0 ? 'ok  ' : 'FAIL';
    console.log(
      `${verdict} ${browser.name} ${JSON.stringify({ first_frame_ms: seen.stats?.firstFrameMs, steady, returned })}`,
    );
    for (const message of expect.failed) console.log(`     - ${message}`);
    if (expect.failed.length > 0) console.log(`${account(seen, page.console)}\n${live.publisher.tail()}`);
  } finally {
    await page.close();
  }
  return expect.failed.length === 0;
}

function expectSteady(expect, figures, { stats, state, log }) {
  expect.that(state === 'playing', `state ${state} after ${STEADY_S} s`);
  expect.that(stats?.firstFrameMs < 2500, `first frame after ${stats?.firstFrameMs} ms`);
  expect.that(figures.unreadable === 0, `${figures.unreadable} pictures without a number`);
  expect.that(figures.unknown === 0, `${figures.unknown} numbers that were never sent`);
  expect.that(figures.back.length === 0, `numbers went back: ${figures.back.join(' ')}`);
  expect.that(figures.shown_share >= 0.9, `${figures.shown_share} of the frames shown`);
  expect.that(figures.freeze_ms < 1000, `frozen ${figures.freeze_ms} ms after number ${figures.freeze_at}`);
  expect.that(figures.latency_ms < stats?.targetMs + 500, `${figures.latency_ms} ms from encoder to screen`);
  const apart = Math.abs(figures.latency_ms - figures.player_latency_ms);
  expect.that(apart < 250, `stats.latency ${figures.player_latency_ms}, seen ${figures.latency_ms} ms`);
  expect.that(stats.sockets === 1, `${stats.sockets} sockets opened`);
}

function expectReturned(expect, figures, { state, log, stats }) {
  expect.that(state === 'playing', `state ${state} after the publisher came back`);
  expect.that(figures.unreadable === 0, `${figures.unreadable} pictures without a number after the return`);
  expect.that(figures.back.length === 0, `numbers went back after the return: ${figures.back.join(' ')}`);
  expect.that(
    log.states.some(({ stream }) => stream === 'interrupted'),
    'the page was never told "interrupted"',
  );
  expect.that(stats.sockets === 1, `${stats.sockets} sockets opened, wanted the same one to go on`);
  expect.that(stats.sockets === 1, `the engine counts ${stats.sockets} sockets`);
  expect.that(log.violations.length === 0, `policy violations: ${log.violations.join('; ')}`);
  expect.that(log.errors.length === 0, `page errors: ${log.errors.join('; ')}`);
}

async function refusedPage(browser, weir, stream) {
  const expect = new Expectations();
  const page = await openPage(browser, `${weir.base}/watch/${stream.playbackId}#token=not.a.token`);
  try {
    await until('the page to fail', 5000, async () => (await look(page)).state === 'failed').catch(
      () => undefined,
    );
    const seen = await look(page);
    await page.screenshot(`${OUT}${browser.name}-refused.png`);
    expect.that(seen.state === 'failed', `state ${seen.state} with a bad token`);
    expect.that(seen.text.includes('not valid'), 'the page does not say that the link is not valid');
    console.log(`${expect.failed.length === 0 ? 'ok  ' : 'FAIL'} ${browser.name} refused`);
    for (const message of expect.failed) console.log(`     - ${message}`);
    if (expect.failed.length > 0) console.log(account(seen, page.console));
  } finally {
    await page.close();
  }
  return expect.failed.length === 0;
}

async function main() {
  const binary = process.env.WEIR_BIN;
  if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
  await access(binary);
  await mkdir(OUT, { recursive: true });
  const results = [];
  let weir;
  try {
    weir = await startWeir(binary);
    const stream = await weir.createStream('e2e');
    const expect = new Expectations();
    await checkRefusals(weir, stream, expect);
    for (const message of expect.failed) console.log(`FAIL ask\n     - ${message}`);
    results.push(expect.failed.length === 0);
    const live = { sentFrames: new Map() };
    live.publisher = startPublisher(stream, live.sentFrames);
    await awaitLive(weir, stream, live.publisher);
    for (const name of wantedBrowsers()) {
      const browser = await launch(name);
      try {
        results.push(await watch(browser, stream, live), await refusedPage(browser, weir, stream));
      } finally {
        await browser.close();
      }
    }
    await live.publisher.end('SIGTERM');
  } catch (error) {
    results.push(false);
    console.log(`FAIL ${error.stack}`);
  }
  if (weir) results.push(await stopped(weir));
  const failed = results.filter((ok) => !ok).length;
  if (failed > 0 && weir) console.log(`the server's last lines:\n${weir.child.tail()}`);
  console.log(`${results.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function stopped(weir) {
  const { code, signal } = await weir.stop();
  if (code !== 0) console.log(`FAIL the server ended with ${signal ?? code} after SIGTERM`);
  return code === 0;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} finally {
  await endAll();
}
