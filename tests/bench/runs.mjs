// One measurement each: a server started anew, a publisher, viewers; a row of figures.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { end, fail, makeClip, sleep, spawnChild, start } from './node.mjs';

const BPS = '2650000';
/** Until the server knows a stream's rates, and its keyframes come at their pace. */
const SETTLE_MS = 3000;
/** What the publishers cost is measured for so long before the first viewer comes, and taken off, as liveload does. */
const IDLE_S = 5;
/** How a slow viewer stands is judged from here on. */
const SLOW_AFTER_S = 24;
/** Clock ticks a second, as `/proc` counts. */
const TICKS = 100;

export function runs({ liveload, binary, seconds, clip }) {
  return { floor, weir, peer, many, slow };

  async function floor(viewers, fps) {
    const seen = await load(['rawfan', '--viewers', `${viewers}`, '--fps', `${fps}`, '--bps', BPS, '--duration', seconds]);
    return { ...costs(`floor, ${fps} sends a second`, seen), ratio: 1 };
  }

  async function weir(name, viewers, { tls, settings, args = [], seconds: time = seconds, file = clip } = {}) {
    return served({ tls, settings }, file, async (node) => {
      const more = [...(tls ? ['--insecure'] : []), ...args, '--duration', `${time}`];
      return costs(name, await watch(node.watch, viewers, node.child.pid, more));
    });
  }

  async function peer(text, viewers) {
    const [, name, kind, url, rtmp, pid] =
      /^([^=]+)=([^,]+),([^,]+),([^,]+),(\d+)$/.exec(text) ?? fail(`${text}: NAME=KIND,WATCH_URL,RTMP_URL,PID`);
    const publisher = publish(rtmp, clip);
    await sleep(SETTLE_MS);
    const args = ['--with-children', '--duration', seconds];
    const row = costs(name, await watch(url, viewers, pid, args, kind));
    await end(publisher);
    return row;
  }

  /** Viewers in groups of one process each, dealt out over the streams; the server's cost is read here. */
  async function many(name, { streams, groups, viewers }) {
    const node = await start(binary, { streams });
    const publishers = node.streams.map(({ rtmp }) => publish(rtmp, clip));
    await sleep(2 * SETTLE_MS);
    const before = cpu(node.child.pid);
    await sleep(IDLE_S * 1000);
    const idle = (cpu(node.child.pid) - before) / IDLE_S;
    const time = Number(seconds) + 10;
    const watching = Array.from({ length: groups }, (_, at) => {
      const args = ['--duration', `${time}`, '--warmup', '5', '--baseline', '0', '--sample', '1', '--ramp', '1000'];
      return watch(node.streams[at % streams].watch, viewers, undefined, args);
    });
    await sleep(7000);
    const [from, spent] = [delivered(await text(node)), cpu(node.child.pid)];
    await sleep(Number(seconds) * 1000);
    const gbit = ((delivered(await text(node)) - from) * 8) / 1e9;
    const used = cpu(node.child.pid) - spent - idle * Number(seconds);
    const seen = await Promise.all(watching);
    await end(...publishers, node.child);
    const gaps = seen.reduce((sum, { frames }) => sum + frames.gaps, 0);
    const p99_ms = Math.max(...seen.map(({ latency_ms }) => latency_ms.p99));
    return { name, viewers: groups * viewers, cpu_s_per_gbit: used / gbit, idle_cores: idle, gaps, worst_p99_ms: p99_ms };
  }

  /** A hundred viewers of whom some are slow. */
  async function slow(name, { slow: count, seconds: time, bps, share, stall, bframes = 0 }) {
    return served({}, bframes > 0 ? makeClip({ bframes }) : clip, async (node) => {
      const rate = bps ?? (share ? share * (await measuredRate(node)) : undefined);
      const how = stall ? ['--slow-stall', stall] : rate ? ['--slow-bps', `${Math.round(rate)}`] : [];
      const args = [...(count > 0 ? ['--slow', `${count}`, '--slow-rcvbuf', '16384', ...how] : [])];
      args.push('--warmup', `${SLOW_AFTER_S}`, '--duration', `${time}`);
      const seen = await watch(node.watch, 100, node.child.pid, args);
      const each = seen.slow_viewers?.each ?? [];
      // From SLOW_AFTER_S on: at first each viewer is sent what brings it to live, which is up to a GOP old.
      const ages = each.map(({ window_latency_ms }) => window_latency_ms).filter(Boolean);
      const worst = (key) => (ages.length ? Math.max(...ages.map((age) => age[key])) : undefined);
      const { mem_ramped, mem_end } = seen.server;
      return {
        name,
        'p50 behind, worst ms': worst('p50'),
        'p90 behind, worst ms': worst('p90'),
        'p99 behind, worst ms': worst('p99'),
        mid_gop: seen.slow_viewers?.resumed_mid_gop,
        'frames of each': each.length ? each.map(({ frames, lost }) => frames / (frames + lost)).sort()[0] : undefined,
        closed_at_s: each[0]?.closed_at_s ?? undefined,
        'others: gaps': seen.frames.gaps,
        'others: p99 ms': seen.latency_ms.p99,
        'memory, kB': mem_end.rss_kb - mem_ramped.rss_kb,
      };
    });
  }

  async function served(how, file, measure) {
    const node = await start(binary, how);
    const publisher = publish(node.rtmp, file);
    await sleep(SETTLE_MS);
    try {
      return await measure(node);
    } finally {
      await end(publisher, node.child);
    }
  }

  async function measuredRate(node) {
    const { bitrate } = await node.api('GET', `/streams/${node.stream}`);
    return bitrate / 8;
  }

  function publish(url, file) {
    return spawnChild(liveload, ['publish', '--url', url, '--file', file, '--loop', '--quiet']);
  }

  function watch(url, viewers, pid, args, kind = 'ws') {
    const server = pid ? ['--server-pid', `${pid}`] : [];
    return load(['watch', '--url', url, '--kind', kind, '--viewers', `${viewers}`, ...server, ...args]);
  }

  async function load(args) {
    process.stderr.write(`${args.join(' ')}\n`);
    const options = { maxBuffer: 1 << 26 };
    const { stdout } = await promisify(execFile)(liveload, [...args, '--json', '--quiet'], options);
    return JSON.parse(stdout);
  }
}

function costs(name, seen) {
  return {
    name,
    viewers: seen.viewers,
    cpu_s_per_gbit: seen.server.cpu_s_per_gbit_less_idle,
    p50_ms: seen.latency_ms.p50,
    p99_ms: seen.latency_ms.p99,
    gaps: seen.frames.gaps,
    join_p99_ms: seen.join_ms.first_keyframe.p99,
    rss_kb: seen.server.mem_end.rss_kb,
    failed: seen.failed,
    note: seen.warnings.length > 0 ? 'machine saturated' : undefined,
  };
}

/** CPU seconds of a process so far. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function delivered(metrics) {
  return Number(/^weir_delivered_bytes_total (\S+)$/m.exec(metrics)?.[1] ?? fail('no weir_delivered_bytes_total'));
}

async function text(node) {
  return (await fetch(`http://${node.internal}/metrics`)).text();
}
