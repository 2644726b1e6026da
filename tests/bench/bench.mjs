#!/usr/bin/env node
// Rawfan (the kernel's floor), Weir, and any peer given by URL, one after another in one run; prints ratios to the floor.
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/bench.mjs [--viewers 500,1500] [--seconds 10]
//       [--clip FILE.flv] [--peer NAME=KIND,WATCH_URL,RTMP_URL,PID ...] [--svg FILE]

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { chart } from './chart.mjs';
import { end, fail, makeClip, needed, sleep, spawnChild, start } from './node.mjs';

const options = { viewers: '500,1500', seconds: '10', peer: [] };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].replace(/^--/, '');
  const value = process.argv[at + 1];
  if (!['viewers', 'seconds', 'clip', 'peer', 'svg'].includes(name) || value === undefined) fail(`unknown ${name}`);
  if (name === 'peer') options.peer.push(value);
  else options[name] = value;
}
const liveload = needed('LIVELOAD', 'the measuring tool');
const binary = needed('WEIR_BIN', 'a release build of weir');

const clip = options.clip ?? makeClip();
const rows = [];
for (const viewers of options.viewers.split(',')) {
  const floor = await measure('rawfan', ['rawfan', '--viewers', viewers, '--fps', '30', '--bps', '2650000']);
  rows.push(row('floor (rawfan, 30 sends a second)', viewers, floor, floor));
  const weir = await start(binary);
  const publisher = spawnChild(liveload, ['publish', '--url', weir.rtmp, '--file', clip, '--loop', '--quiet']);
  await sleep(3000);
  const watch = ['watch', '--url', weir.watch, '--kind', 'ws', '--viewers', viewers, '--server-pid', `${weir.child.pid}`];
  rows.push(row('weir', viewers, await measure('weir', watch), floor));
  await end(publisher, weir.child);
  for (const peer of options.peer) {
    const [name, rest] = split(peer, '=');
    const [kind, url, rtmp, pid] = rest.split(',');
    const feeding = spawnChild(liveload, ['publish', '--url', rtmp, '--file', clip, '--loop', '--quiet']);
    await sleep(3000);
    const args = ['watch', '--url', url, '--kind', kind, '--viewers', viewers, '--server-pid', pid, '--with-children'];
    rows.push(row(name, viewers, await measure(name, args), floor));
    await end(feeding);
  }
}
console.table(Object.fromEntries(rows.map((r) => [`${r.name}, ${r.viewers}`, shown(r)])));
if (options.svg) writeFileSync(options.svg, chart(rows));
process.exit(0);

function row(name, viewers, result, floor) {
  return {
    name,
    viewers: Number(viewers),
    cpu_s_per_gbit: result.server.cpu_s_per_gbit_less_idle,
    ratio: result.server.cpu_s_per_gbit_less_idle / floor.server.cpu_s_per_gbit_less_idle,
    p50_ms: result.latency_ms.p50,
    p99_ms: result.latency_ms.p99,
    gaps: result.frames.gaps,
    keyframe_p99_ms: result.join_ms.first_keyframe.p99,
    kb_per_viewer: result.server.rss_kb_per_viewer_end,
    saturated: result.warnings.length > 0,
  };
}

function shown(r) {
  return {
    'CPU-s/Gbit': r.cpu_s_per_gbit.toFixed(3),
    'x floor': r.ratio.toFixed(2),
    'p50 ms': r.p50_ms.toFixed(1),
    'p99 ms': r.p99_ms.toFixed(1),
    gaps: r.gaps,
    'join p99 ms': r.keyframe_p99_ms.toFixed(1),
    'kB/viewer': r.kb_per_viewer.toFixed(1),
    note: r.saturated ? 'machine saturated' : '',
  };
}

async function measure(name, args) {
  process.stderr.write(`${name}: ${args.join(' ')}\n`);
  const limits = ['--duration', options.seconds, '--json', '--quiet'];
  const { stdout } = await promisify(execFile)(liveload, [...args, ...limits], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

function split(text, by) {
  const at = text.indexOf(by);
  return at < 0 ? fail(`${text}: NAME=KIND,WATCH_URL,RTMP_URL,PID`) : [text.slice(0, at), text.slice(at + 1)];
}
