#!/usr/bin/env node
// Publishers and viewers who come and go for a long time: does memory grow, are files or threads left, what is logged?
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/soak.mjs [--seconds 3600] [--viewers 500]

import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
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
/** How long what is left may take to go. */
const LEAVE_MS = 60_000;
/** Viewers of the stream whose publisher comes and goes. */
const FOLLOWERS = 20;

const weir = await start(binary, { streams: 2 });
const warnings = countWarnings(weir.child.stderr);
const clip = makeClip();
const publisher = publish(weir.streams[0], clip);
await sleep(3000);
let until = Date.now() + 30_000;
let visits = 0;
let publishes = 0;
// What a node opens once and keeps, such as its database's readers, is open after a first round.
await churn();
await sleep(5000);
const before = sample();
until = Date.now() + Number(options.seconds) * 1000;
[visits, publishes] = [0, 0];
const samples = [];
const watching = (async () => {
  while (Date.now() < until) {
    await sleep(SAMPLE_MS);
    samples.push(sample());
    const { rss_kb, files, threads } = samples.at(-1);
    process.stderr.write(`${visits} visits, ${publishes} publishes, ${rss_kb} kB, ${files} files, ${threads} threads\n`);
  }
})();
await Promise.all([churn(), watching]);
const leftUntil = Date.now() + LEAVE_MS;
let after = sample();
while (isMore(after) && Date.now() < leftUntil) {
  await sleep(1000);
  after = sample();
}
await end(publisher, weir.child);

const settled = samples.slice(Math.floor(samples.length * SETTLED)).map((s) => s.rss_kb);
const fifth = Math.max(1, Math.floor(settled.length / 5));
const [first, last] = [median(settled.slice(0, fifth)), median(settled.slice(-fifth))];
const growth = ((last - first) / first) * 100;
console.log(`${visits} visits, up to ${options.viewers} viewers at once, and ${publishes} publishes in ${options.seconds} s`);
console.log(`memory: ${before.rss_kb} kB before, ${first} kB early, ${last} kB late (${growth.toFixed(1)} %), ${after.rss_kb} kB after`);
console.log(`files: ${before.files} before, ${after.files} after; threads: ${before.threads} before, ${after.threads} after`);
console.log('warnings:', warnings.size === 0 ? 'none' : '');
for (const [message, count] of warnings) console.log(`  ${count} x ${message}`);
process.exit(growth > GROWTH_PERCENT_MAX || isMore(after) ? 1 : 0);

function isMore({ files, threads }) {
  return files > before.files || threads > before.threads;
}

function churn() {
  return Promise.all([...Array.from({ length: GROUPS }, (_, at) => comeAndGo(at)), publishAndLeave(), follow()]);
}

async function comeAndGo(at) {
  await sleep(at * 2000);
  for (let round = 0; Date.now() < until; round += 1) {
    await visit(weir.streams[0], Math.floor(Number(options.viewers) / GROUPS), 6 + ((at * 7 + round * 3) % 10));
  }
}

/** Ends orderly and by being killed, in turns. */
async function publishAndLeave() {
  for (let round = 0; Date.now() < until; round += 1) {
    const child = publish(weir.streams[1], clip);
    publishes += 1;
    await sleep(5000 + ((round * 3) % 10) * 1000);
    child.kill(round % 2 ? 'SIGKILL' : 'SIGTERM');
    await sleep(((round * 5) % 7) * 500);
  }
}

async function follow() {
  while (Date.now() < until) await visit(weir.streams[1], FOLLOWERS, 17);
}

async function visit({ watch }, viewers, seconds) {
  const times = ['--duration', `${seconds}`, '--warmup', '1', '--baseline', '0', '--quiet'];
  const child = spawnChild(liveload, ['watch', '--url', watch, '--kind', 'ws', '--viewers', `${viewers}`, ...times]);
  await new Promise((resolve) => child.on('exit', resolve));
  visits += viewers;
}

function publish({ rtmp }, file) {
  return spawnChild(liveload, ['publish', '--url', rtmp, '--file', file, '--loop', '--quiet']);
}

function countWarnings(stream) {
  const counts = new Map();
  createInterface({ input: stream }).on('line', (line) => {
    const { level, fields, message = fields?.message } = JSON.parse(line);
    if (level === 'WARN' || level === 'ERROR') counts.set(message, (counts.get(message) ?? 0) + 1);
  });
  return counts;
}

function sample() {
  const at = `/proc/${weir.child.pid}`;
  const rss_kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${at}/status`, 'utf8'))[1]);
  return { rss_kb, files: readdirSync(`${at}/fd`).length, threads: readdirSync(`${at}/task`).length };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
