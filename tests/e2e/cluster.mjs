#!/usr/bin/env node
// A node of three is killed under a page in the browser: behind haproxy, with real PostgreSQL and Redis.
//   WEIR_BIN=target/release/weir node cluster.mjs      WEIR_E2E_BROWSERS=chromium picks one

import { access, mkdir, writeFile } from 'node:fs/promises';
import { launch, wantedBrowsers } from './lib/browsers.mjs';
import { startCluster } from './lib/cluster.mjs';
import { Expectations, judge } from './lib/judge.mjs';
import { endAll, sleep, until } from './lib/processes.mjs';
import { publish } from './lib/publisher.mjs';
import { account, awaitFrame, look, openPage } from './lib/session.mjs';

const OUT = new URL('out/', import.meta.url).pathname;
const CLIP = { size: '640x360', fps: 30, gop: 2 };
const STEADY_S = 4;
const BACK_MS = 15_000;
const NUMBERS_APART = 4000; // each publisher counts from a number of its own

/** ffmpeg by way of the load balancer, started again whenever it is cut. */
class Publisher {
  sentFrames = new Map();
  starts = 0;
  isEnding = false;

  constructor(url) {
    this.done = this.run(url);
  }

  async run(url) {
    while (!this.isEnding) {
      this.starts += 1;
      this.first = this.starts * NUMBERS_APART;
      this.child = publish(url, { ...CLIP, sentFrames: this.sentFrames, first: this.first });
      await this.child.done;
      await sleep(300);
    }
  }

  async end() {
    this.isEnding = true;
    await this.child.end('SIGKILL');
    await this.done;
  }
}

async function ownerOf(cluster, stream) {
  return until('an owner', BACK_MS, async () => {
    const owner = await cluster.owner(stream.id);
    return owner && !cluster.nodes.get(owner.node).child.exit ? owner : undefined;
  });
}

const markVideo = (page) => page.evaluate(() => void (window.weir.shadowRoot.querySelector('video').weirMark = 'the same'));
const isSameVideo = (page) => page.evaluate(() => window.weir.shadowRoot.querySelector('video').weirMark === 'the same');

/** `choose` names the page's address and the node to kill. */
async function watchThrough(name, browser, cluster, stream, publisher, choose, check) {
  const expect = new Expectations();
  const chosen = await choose();
  const page = await openPage(browser, chosen.url);
  try {
    expect.that(await awaitFrame(page, 0, 15_000), 'no readable picture within 15 s');
    await sleep(STEADY_S * 1000);
    await markVideo(page);
    const victim = await chosen.victim();
    const before = await look(page);
    const lastNumber = before.log.frames.findLast(({ frame }) => frame !== null)?.frame;
    const killedAt = Date.now();
    cluster.nodes.get(victim).child.process.kill('SIGKILL');
    await sleep(1500);
    await page.screenshot(`${OUT}cluster-${browser.name}-${name}-killed.png`);
    const frame = await awaitFrame(page, lastNumber + 60, BACK_MS);
    expect.that(frame, `no new picture within ${BACK_MS} ms of the kill`);
    await sleep(3000);
    const seen = await look(page);
    await page.screenshot(`${OUT}cluster-${browser.name}-${name}-after.png`);
    const shown = judge(seen.log.frames, publisher);
    expect.that(seen.state === 'playing', `state ${seen.state}`);
    expect.that(await isSameVideo(page), 'another video element');
    expect.that(shown.unknown === 0, `${shown.unknown} numbers that were never sent`);
    expect.that(seen.log.errors.length === 0, `page errors: ${seen.log.errors.join('; ')}`);
    check(expect, seen, shown);
    const log = seen.log.frames.map(({ t, frame, mediaTime }) => `${Math.round(t - killedAt)} ${frame} ${mediaTime}`);
    await writeFile(`${OUT}cluster-${browser.name}-${name}.frames`, `${log.join('\n')}\n`);
    const figures = {
      killed: victim,
      sockets: seen.stats.sockets,
      freeze_ms: shown.freeze_ms,
      first_number: shown.first,
      last_number: shown.last,
      publishers: publisher.starts,
    };
    console.log(`${expect.failed.length === 0 ? 'ok  ' : 'FAIL'} ${browser.name} ${name} ${JSON.stringify(figures)}`);
    for (const message of expect.failed) console.log(`     - ${message}`);
    if (expect.failed.length > 0) console.log(`${account(seen, page.console)}\n${cluster.tail()}`);
    await cluster.startNode(victim);
  } finally {
    await page.close();
  }
  return expect.failed.length === 0;
}

async function run(browser, cluster, stream, publisher) {
  const owner = await ownerOf(cluster, stream);
  const other = [...cluster.nodes.keys()].find((name) => name !== owner.node);
  const elsewhere = await watchThrough(
    'owner',
    browser,
    cluster,
    stream,
    publisher,
    () => ({
      url: `${cluster.nodes.get(other).base}/watch/${stream.playbackId}`,
      victim: async () => (await ownerOf(cluster, stream)).node,
    }),
    (expect, { log, stats }, { back }) => {
      expect.that(back.length === 0, `numbers went back: ${back.join(' ')}`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets, wanted the same one to go on`);
      const wasTold = log.states.some(({ stream: state }) => state === 'interrupted');
      expect.that(wasTold, 'the page was never told "interrupted"');
    },
  );
  const own = await watchThrough(
    'own-node',
    browser,
    cluster,
    stream,
    publisher,
    () => ({
      url: stream.pageUrl,
      victim: async () => {
        const viewers = await Promise.all(
          [...cluster.nodes.keys()].map(async (name) => [name, await cluster.metric(name, 'weir_viewers')]),
        );
        return viewers.find(([, count]) => count > 0)[0];
      },
    }),
    (expect, { stats }, { back }) => {
      expect.that(stats.sockets >= 2, 'no second socket was opened');
      // On another socket it begins at the newest keyframe, which may have been shown before.
      const far = back.filter((step) => step.split('->').reduce((from, to) => from - to) > CLIP.gop * CLIP.fps);
      expect.that(far.length === 0, `numbers went back by more than a GOP: ${far.join(' ')}`);
    },
  );
  return [elsewhere, own];
}

async function main() {
  const binary = process.env.WEIR_BIN;
  if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
  await access(binary);
  await mkdir(OUT, { recursive: true });
  const cluster = await startCluster(binary);
  const results = [];
  try {
    const stream = await cluster.createStream('e2e');
    const publisher = new Publisher(stream.rtmpUrl);
    await ownerOf(cluster, stream);
    for (const name of wantedBrowsers()) {
      const browser = await launch(name);
      try {
        results.push(...(await run(browser, cluster, stream, publisher)));
      } finally {
        await browser.close();
      }
    }
    await publisher.end();
  } catch (error) {
    results.push(false);
    console.log(`FAIL ${error.stack}\n${cluster.tail()}`);
  } finally {
    await cluster.stop();
  }
  const failed = results.filter((ok) => !ok).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} finally {
  await endAll();
}
