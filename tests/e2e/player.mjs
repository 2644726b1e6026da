#!/usr/bin/env node
// What the player promises (P1 to P23), against a real server with faults made between, in both browsers:
//   WEIR_BIN=target/debug/weir node player.mjs [scenario ...]      WEIR_E2E_BROWSERS=chromium picks one
// Holes in the media, as a server makes them, are in faults.mjs.

import { access, mkdir } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { Expectations } from './lib/judge.mjs';
import { endAll, until } from './lib/processes.mjs';
import { startProxy } from './lib/proxy.mjs';
import { publish } from './lib/publisher.mjs';
import { account, look } from './lib/session.mjs';
import { startWeir } from './lib/weir.mjs';
import { scenarios } from './scenarios.mjs';

const OUT = new URL('out/', import.meta.url).pathname;
const CLIP = { size: '640x360', fps: 30, gop: 1 };

async function awaitLive(weir, stream, publisher) {
  await until('the stream to be live', 15_000, async () => {
    if (publisher.exit) throw Object.assign(new Error(publisher.tail()), { fatal: true });
    return (await weir.ask(stream.playbackId, stream.token)).body?.state === 'live';
  });
}

async function run(browser, name, world) {
  const expect = new Expectations();
  const started = Date.now();
  const pages = [];
  const tools = {
    ...world,
    browser,
    expect,
    out: OUT,
    async open(url, size) {
      const page = await browser.newPage(size);
      pages.push(page);
      await page.goto(url);
      return page;
    },
  };
  let figures = {};
  try {
    figures = (await scenarios[name].run(tools)) ?? {};
  } catch (error) {
    expect.that(false, error.stack);
  }
  for (const page of pages) {
    const seen = await look(page).catch(() => undefined);
    expect.that(!seen?.log.violations.length, `policy violations: ${seen?.log.violations.join('; ')}`);
    expect.that(!seen?.log.errors.length, `page errors: ${seen?.log.errors.join('; ')}`);
    if (expect.failed.length > 0 && seen) {
      await page.screenshot(`${OUT}${browser.name}-${name}-failed.png`).catch(() => undefined);
      console.log(account(seen, page.console));
    }
    await page.close().catch(() => undefined);
  }
  Object.assign(world.proxy, { keep: undefined, held: false, away: false });
  const verdict = expect.failed.length === 0 ? 'ok  ' : 'FAIL';
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${verdict} ${browser.name.padEnd(8)} ${name.padEnd(11)} ${seconds} s ${JSON.stringify(figures)}`);
  for (const message of expect.failed) console.log(`     - ${message}`);
  return expect.failed.length === 0;
}

async function main() {
  const binary = process.env.WEIR_BIN;
  if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
  await access(binary);
  await mkdir(OUT, { recursive: true });
  const wanted = process.argv.slice(2);
  const names = Object.keys(scenarios).filter((name) => wanted.length === 0 || wanted.includes(name));
  if (names.length === 0) throw new Error(`no such scenario; there are ${Object.keys(scenarios).join(', ')}`);
  const weir = await startWeir(binary);
  const proxy = await startProxy(weir.base);
  const stream = await weir.createStream('player');
  const sentFrames = new Map();
  const publisher = publish(stream.rtmpUrl, { ...CLIP, sentFrames });
  await awaitLive(weir, stream, publisher);
  const world = { weir, proxy, stream, sentFrames, url: `${proxy.base}/watch/${stream.playbackId}#token=${stream.token}` };
  let failed = 0;
  for (const browserName of wantedBrowsers()) {
    const browser = await launch(browserName);
    try {
      for (const name of names) {
        if (scenarios[name].only && scenarios[name].only !== browserName) continue;
        if (!(await run(browser, name, world))) failed += 1;
      }
    } finally {
      await browser.close();
    }
  }
  await proxy.close();
  await weir.stop();
  console.log(failed === 0 ? 'all passed' : `${failed} failed\n${weir.child.tail()}`);
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} catch (error) {
  console.log(`FAIL ${error.stack}`);
  process.exitCode = 1;
} finally {
  await endAll();
}
