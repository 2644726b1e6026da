#!/usr/bin/env node
// Viewers who come and go for a long time: does memory grow, are files left open?
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/soak.mjs [--seconds 3600] [--viewers 500]

import { readFileSync, readdirSync } from 'node:fs';
import { end, fail, makeClip, needed, sleep, spawnChild, start } from './node.mjs';

const options = { seconds: '3600', viewers: '500' };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].replace(/^--/, '');
  if (!(name in options) || process.argv[at + 1] === undefined) fail(`unknown ${name}`);
  options[name] = process.argv[at + 1];
}
const liveload = needed('LIVELOAD', 'the measuring tool');
const binary = needed('WEIR_BIN', 'a release build of weir');

/** Groups that come and go at different times. */
const GROUPS = 5;
const SAMPLE_MS = 5000;
/** What a node needs at most is known after this part of the run. */
const SETTLED = 0.2;
const GROWTH_PERCENT_MAX = 2;

const weir = await start(binary);
const publisher = spawnChild(liveload, ['publish', '--url', weir.rtmp, '--file', makeClip(), '--loop', '--quiet']);
await sleep(3000);
const before = sample();
const until = Date.now() + Number(options.seconds) * 1000;
const samples = [];
let visits = 0;
const groups = Array.from({ length: GROUPS }, (_, at) => comeAndGo(at));
const watching = (async () => {
  while (Date.now() < until) {
    await sleep(SAMPLE_MS);
    samples.push(sample());
    process.stderr.write(`${visits} visits, ${samples.at(-1).rss_kb} kB, ${samples.at(-1).files} files\n`);
  }
})();
await Promise.all([...groups, watching]);
await sleep(5000);
const after = sample();
await end(publisher, weir.child);

const settled = samples.slice(Math.floor(samples.length * SETTLED)).map((s) => s.rss_kb);
const fifth = Math.max(1, Math.floor(settled.length / 5));
const [first, last] = [median(settled.slice(0, fifth)), median(settled.slice(-fifth))];
const growth = ((last - first) / first) * 100;
console.log(`${visits} visits in ${options.seconds} s, up to ${options.viewers} viewers at once`);
console.log(`memory: ${before.rss_kb} kB before, ${first} kB early, ${last} kB late (${growth.toFixed(1)} %), ${after.rss_kb} kB after`);
console.log(`files: ${before.files} before, ${after.files} after`);
process.exit(growth > GROWTH_PERCENT_MAX || after.files > before.files ? 1 : 0);

async function comeAndGo(at) {
  await sleep(at * 2000);
  const viewers = Math.floor(Number(options.viewers) / GROUPS);
  for (let round = 0; Date.now() < until; round += 1) {
    const stay = String(6 + ((at * 7 + round * 3) % 10));
    const times = ['--duration', stay, '--warmup', '1', '--baseline', '0', '--quiet'];
    const child = spawnChild(liveload, ['watch', '--url', weir.watch, '--kind', 'ws', '--viewers', `${viewers}`, ...times]);
    await new Promise((resolve) => child.on('exit', resolve));
    visits += viewers;
  }
}

function sample() {
  const status = readFileSync(`/proc/${weir.child.pid}/status`, 'utf8');
  const rss_kb = Number(/VmRSS:\s+(\d+)/.exec(status)[1]);
  return { rss_kb, files: readdirSync(`/proc/${weir.child.pid}/fd`).length };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
