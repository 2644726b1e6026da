#!/usr/bin/env node
// The API beside live viewers: whether it answers in time, and whether anybody sees a gap because of it.
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/api.mjs [--viewers 500] [--rate 200] [--seconds 20]

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { end, fail, makeClip, needed, sleep, spawnChild, start } from './node.mjs';

const options = { viewers: 500, rate: 200, seconds: 20 };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].replace(/^--/, '');
  if (!(name in options) || !(process.argv[at + 1] > 0)) fail(`unknown ${name}`);
  options[name] = Number(process.argv[at + 1]);
}
const liveload = needed('LIVELOAD', 'the measuring tool');
const weir = await start(needed('WEIR_BIN', 'a release build of weir'));
const publisher = spawnChild(liveload, ['publish', '--url', weir.rtmp, '--file', makeClip(), '--loop', '--quiet']);
await sleep(3000);

const rows = [];
for (const rate of [0, options.rate]) {
  const calls = rate > 0 ? callEvenly(rate) : undefined;
  const watched = await watch();
  const { times, failed, answers } = (await calls?.stop()) ?? { times: [], failed: 0, answers: {} };
  rows.push({
    'calls/s': rate,
    viewers: options.viewers,
    gaps: watched.frames.gaps,
    'frame p50 ms': watched.latency_ms.p50.toFixed(1),
    'frame p99 ms': watched.latency_ms.p99.toFixed(1),
    calls: times.length,
    failed,
    answers: Object.entries(answers).map(([status, count]) => `${status}: ${count}`).join(', '),
    'API p50 ms': quantile(times, 0.5),
    'API p99 ms': quantile(times, 0.99),
    'API max ms': quantile(times, 1),
    saturated: watched.warnings.length > 0,
  });
}
console.table(rows);
await end(publisher, weir.child);
process.exit(rows.some((row) => row.gaps > 0 || row.failed > 0) ? 1 : 0);

async function watch() {
  const where = ['watch', '--url', weir.watch, '--kind', 'ws', '--viewers', `${options.viewers}`];
  const how = ['--server-pid', `${weir.child.pid}`, '--duration', `${options.seconds}`, '--json', '--quiet'];
  const { stdout } = await promisify(execFile)(liveload, [...where, ...how], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

/** What a back end asks: mostly status and tokens, now and then a new stream, a change, a list. */
function callEvenly(rate) {
  const stream = `/streams/${weir.stream}`;
  const calls = [
    ['GET', stream],
    ['POST', `${stream}/tokens`, { sub: 'viewer', ttl_s: 60 }],
    ['GET', stream],
    ['GET', `/sessions?stream=${weir.stream}&limit=100`],
    ['GET', stream],
    ['POST', '/streams', { tenant: weir.tenant, name: 'more' }],
    ['GET', '/streams?limit=50'],
    ['PATCH', stream, { labels: { changed: 'often' } }],
  ];
  const [times, running, answers] = [[], new Set(), {}];
  const begun = performance.now();
  let [made, failed] = [0, 0];
  const timer = setInterval(() => {
    // Those that are due, whether or not the ones before were answered.
    for (; made < ((performance.now() - begun) / 1000) * rate; made += 1) {
      const asked = performance.now();
      const count = (answer) => (answers[answer] = (answers[answer] ?? 0) + 1);
      const answered = weir.api(...calls[made % calls.length]).then(
        () => times.push(performance.now() - asked) && count('2xx'),
        (error) => {
          const what = error.status ?? error.cause?.code ?? error.name;
          if (count(what) === 1) console.error(`${error}`);
          failed += 1;
        },
      );
      running.add(answered);
      answered.finally(() => running.delete(answered));
    }
  }, 5);
  const stop = async () => {
    clearInterval(timer);
    await Promise.all(running);
    return { times, failed, answers };
  };
  return { stop };
}

function quantile(times, part) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted.length > 0 ? sorted[Math.floor((sorted.length - 1) * part)].toFixed(1) : '';
}
