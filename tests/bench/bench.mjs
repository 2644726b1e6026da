#!/usr/bin/env node
// Rawfan (the kernel's floor), Weir, and any peer given by URL, one after another in one run; prints ratios to the floor.
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir node tests/bench/bench.mjs [--viewers 500,1500] [--seconds 10]
//       [--clip FILE.flv] [--peer NAME=KIND,WATCH_URL,RTMP_URL,PID ...] [--svg FILE]

import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chart } from './chart.mjs';

const ADMIN_KEY = 'wk_benchmark_0123456789abcdefghijklmnop';
const READY_MS = 20_000;

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
const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const clip = options.clip ?? makeClip();
const rows = [];
for (const viewers of options.viewers.split(',')) {
  const floor = await measure('rawfan', ['rawfan', '--viewers', viewers, '--fps', '30', '--bps', '2650000']);
  rows.push(row('floor (rawfan, 30 sends a second)', viewers, floor, floor));
  const weir = await start();
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

/** A node of its own with a public stream. */
async function start() {
  const data = mkdtempSync(join(folder, 'node-'));
  const environment = { WEIR_ADMIN_KEY: ADMIN_KEY, WEIR_LOG_FORMAT: 'json' };
  for (const listener of ['HTTP', 'RTMP', 'INTERNAL']) environment[`WEIR_${listener}_LISTEN`] = '127.0.0.1:0';
  const child = spawnChild(binary, ['serve'], { cwd: data, env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  const at = await new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`weir is not ready: ${text}`)), READY_MS);
    child.stderr.on('data', (piece) => {
      text += piece;
      const ready = text.split('\n').find((line) => line.includes('"message":"ready"'));
      if (ready) resolve(JSON.parse(ready), clearTimeout(timer));
    });
  });
  const post = async (path, body) => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
    const answer = await fetch(`http://${at.http}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const tenant = await post('/tenants', { name: 'bench' });
  const stream = await post('/streams', { tenant: tenant.id, name: 'bench', policy: 'public' });
  return { child, rtmp: stream.ingest.rtmp_url, watch: stream.play.ws_url };
}

/** 720p30 with a keyframe each 2 s at 2.65 Mbit/s, as in the table of peers. */
function makeClip() {
  const file = join(folder, 'clip.flv');
  const video = '-c:v libx264 -preset veryfast -bf 0 -g 60 -keyint_min 60 -sc_threshold 0 -b:v 2500k -maxrate 2500k -bufsize 2500k';
  const source = '-f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 20';
  const args = `-v error -y ${source} ${video} -pix_fmt yuv420p -c:a aac -b:a 128k -f flv`.split(' ');
  execFileSync('ffmpeg', [...args, file]);
  return file;
}

function spawnChild(command, args, more = { stdio: 'ignore' }) {
  const child = spawn(command, args, more);
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

async function end(...started) {
  for (const child of started) {
    child.kill('SIGTERM');
    if (child.exitCode === null) await new Promise((resolve) => child.on('exit', resolve));
  }
}

function split(text, by) {
  const at = text.indexOf(by);
  return at < 0 ? fail(`${text}: NAME=KIND,WATCH_URL,RTMP_URL,PID`) : [text.slice(0, at), text.slice(at + 1)];
}

function needed(name, what) {
  const path = process.env[name];
  return path && existsSync(path) ? path : fail(`${name} is not set to ${what}`);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function fail(what) {
  console.error(what);
  process.exit(2);
}
