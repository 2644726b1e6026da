#!/usr/bin/env node
// Opens a watch page and prints what it shows, one JSON line per picture:
//   WEIR_E2E_URL='http://127.0.0.1:8080/watch/ID#token=...' node watch.mjs play
// Scenarios: play, rejoin (loads the page a second time), pause (space, 2 s, space).
// WEIR_E2E_SECONDS (10), WEIR_E2E_BROWSERS (chromium), WEIR_E2E_SIZE (1280x800), WEIR_E2E_SCREENSHOT (out/...png)

import { mkdir } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { judge } from './lib/judge.mjs';
import { sleep } from './lib/processes.mjs';
import { account, look, openPage } from './lib/session.mjs';

const OUT = new URL('out/', import.meta.url).pathname;
const seconds = Number(process.env.WEIR_E2E_SECONDS ?? 10);
const [width, height] = (process.env.WEIR_E2E_SIZE ?? '1280x800').split('x').map(Number);

const scenarios = {
  play: async () => sleep(seconds * 1000),
  rejoin: async (page, url) => {
    await sleep(2000);
    await page.goto('about:blank');
    await page.goto(url);
    await sleep(seconds * 1000);
  },
  pause: async (page) => {
    await sleep(3000);
    await page.press(' ');
    await sleep(2000);
    await page.press(' ');
    await sleep(seconds * 1000);
  },
};

const url = process.env.WEIR_E2E_URL;
const name = process.argv[2] ?? 'play';
if (!url || !scenarios[name]) {
  console.error(`usage: WEIR_E2E_URL=... watch.mjs ${Object.keys(scenarios).join('|')}`);
  process.exit(2);
}
await mkdir(OUT, { recursive: true });
process.env.WEIR_E2E_BROWSERS ??= 'chromium';
let good = true;
for (const browserName of wantedBrowsers()) {
  const browser = await launch(browserName);
  try {
    const page = await openPage(browser, url, { width, height });
    await scenarios[name](page, url);
    const seen = await look(page);
    await page.screenshot(process.env.WEIR_E2E_SCREENSHOT ?? `${OUT}${browserName}-${name}.png`);
    for (const { t, frame, currentTime, latency_ms, state } of seen.log.frames) {
      console.log(JSON.stringify({ t, frame, currentTime, latency_ms, state }));
    }
    const figures = judge(seen.log.frames);
    good &&= figures.read > 0 && figures.unreadable === 0 && figures.back.length === 0;
    console.error(`${browserName} ${name} ${JSON.stringify(figures)}\n${account(seen, page.console)}`);
  } finally {
    await browser.close();
  }
}
process.exitCode = good ? 0 : 1;
