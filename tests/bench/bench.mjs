#!/usr/bin/env node
// What a viewer costs, and what becomes of a slow one, beside rawfan (the kernel's floor) and any peer, all in one run.
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/bench.mjs [--cases cost,wait,streams,slow,half,join]
//       [--viewers 500,1500] [--seconds 10] [--rounds 1] [--clip FILE.flv] [--svg FILE] [--json FILE]
//       [--peer NAME=KIND,WATCH_URL,RTMP_URL,PID ...]

import { writeFileSync } from 'node:fs';
import { chart } from './chart.mjs';
import { fail, makeClip, needed } from './node.mjs';
import { runs } from './runs.mjs';

const options = { cases: 'cost,wait,streams,slow,half,join', viewers: '500,1500', seconds: '10', rounds: '1', peer: [] };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].replace(/^--/, '');
  const value = process.argv[at + 1];
  if (![...Object.keys(options), 'clip', 'svg', 'json'].includes(name) || value === undefined) fail(`unknown ${name}`);
  if (name === 'peer') options.peer.push(value);
  else options[name] = value;
}
const liveload = needed('LIVELOAD', 'the measuring tool');
const binary = needed('WEIR_BIN', 'a release build of weir');
const bench = runs({ liveload, binary, seconds: options.seconds, clip: options.clip ?? makeClip() });

const CASES = { cost, wait, streams, slow, half, join };
const all = {};
for (const name of options.cases.split(',')) {
  if (!CASES[name]) fail(`unknown case ${name}; there are ${Object.keys(CASES).join(', ')}`);
  all[name] = await CASES[name]();
  print(name, all[name]);
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(all, null, 1)}\n`);
if (options.svg && all.cost) writeFileSync(options.svg, chart([...all.cost, ...(all.wait ?? [])]));
process.exit(0);

/** Floor, Weir plain and by TLS, and peers; the best of the rounds, since others use the machine too. */
async function cost() {
  const rows = [];
  for (const viewers of counts()) {
    const floor = await best(() => bench.floor(viewers, 30));
    rows.push(floor);
    rows.push(against(floor, await best(() => bench.weir('weir', viewers))));
    rows.push(against(floor, await best(() => bench.weir('weir, TLS', viewers, { tls: true }))));
    for (const peer of options.peer) rows.push(against(floor, await best(() => bench.peer(peer, viewers))));
  }
  for (const name of ['weir', 'weir, TLS']) grow(rows.filter((row) => row.name === name));
  return rows;
}

/** A stream that may wait 350 ms, beside three sends a second. */
async function wait() {
  const rows = [];
  for (const viewers of counts()) {
    const floor = await best(() => bench.floor(viewers, 3));
    const settings = { latency_target_ms: 350 };
    rows.push(floor, against(floor, await best(() => bench.weir('weir, 350 ms', viewers, { settings }))));
  }
  return rows;
}

/** The same number of viewers on one stream and on a hundred. */
async function streams() {
  const one = await best(() => bench.many('1 stream x 1,500', { streams: 1, groups: 100, viewers: 15 }));
  const many = await best(() => bench.many('100 streams x 15', { streams: 100, groups: 100, viewers: 15 }));
  return [one, against(one, many)];
}

async function slow() {
  return [
    await bench.slow('nobody slow', { slow: 0, seconds: 10 }),
    await bench.slow('10 at 40 kB/s', { slow: 10, bps: 40_000, seconds: 36 }),
    await bench.slow('10 at 40 kB/s, B frames', { slow: 10, bps: 40_000, seconds: 36, bframes: 2 }),
  ];
}

async function half() {
  return [
    await bench.slow('1 at 60 %', { slow: 1, share: 0.6, seconds: 36 }),
    await bench.slow('1 at 60 %, B frames', { slow: 1, share: 0.6, seconds: 36, bframes: 2 }),
    await bench.slow('1 reads nothing', { slow: 1, stall: '3:60', seconds: 10 }),
  ];
}

/** Of a small stream: 5,000 times the usual one is more than a machine of two cores can move. */
async function join() {
  const file = makeClip({ small: true });
  return [await bench.weir('5,000 within 1 s', 5000, { args: ['--ramp', '5000', '--sample', '100'], file })];
}

function counts() {
  return options.viewers.split(',').map(Number);
}

async function best(measure) {
  let found;
  for (let round = 0; round < Number(options.rounds); round += 1) {
    const row = await measure();
    if (!found || row.cpu_s_per_gbit < found.cpu_s_per_gbit) found = row;
  }
  return found;
}

function against(floor, row) {
  return { ...row, ratio: row.cpu_s_per_gbit / floor.cpu_s_per_gbit };
}

/** What each further viewer takes: the difference between the smallest and the largest run. */
function grow(rows) {
  const [few, many] = [rows[0], rows.at(-1)];
  if (few && few !== many) many.kb_per_viewer = (many.rss_kb - few.rss_kb) / (many.viewers - few.viewers);
}

function print(name, rows) {
  const shown = rows.map((row) => Object.entries(row).map(([key, value]) => [key, brief(value)]));
  console.log(`\n${name}`);
  console.table(shown.map((row) => Object.fromEntries(row.filter(([, value]) => value !== undefined))));
}

function brief(value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value;
}
