#!/usr/bin/env node
// Those who mean harm beside those who mean well: connections that ask for nothing, wrong keys, wrong tokens.
//   LIVELOAD=/path/liveload WEIR_BIN=target/release/weir unshare --map-root-user --net node tests/faults/floods.mjs
//       [--cases connections,keys,tokens] [--connections 10000] [--rate 1000] [--rounds 5] [--seconds 8]

import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { end, fail, makeClip, needed, sleep, spawnChild, start } from '../bench/node.mjs';
import { ELSEWHERE, HERE, Host } from './network.mjs';
import { listen, publish } from './rtmp.mjs';

const options = { cases: 'connections,keys,tokens', connections: '10000', rate: '1000', rounds: '5', seconds: '8' };
for (let at = 2; at < process.argv.length; at += 2) {
  const name = process.argv[at].replace(/^--/, '');
  if (!(name in options) || process.argv[at + 1] === undefined) fail(`unknown ${name}`);
  options[name] = process.argv[at + 1];
}
const liveload = needed('LIVELOAD', 'the measuring tool');
const binary = needed('WEIR_BIN', 'a release build of weir');

const SELF = '127.0.0.1';
const VIEWERS = 100;
/** Those who mean well are tried so often, and may take so long. */
const PROBE_MS = 100;
const SERVED_WITHIN_MS = 1000;
const MEMORY_KB_MAX = 300_000;
/** For a hello to come in; and for what is told at the end to be read, or given up. */
const CLOSED_WITHIN_MS = 5000 + 2500;
/** Slower by a tenth, or by what a machine of two cores does to any figure. */
const SLOWER = 1.1;
const NOISE_MS = 1;
const TICKS = 100;
/** A program that closes each connection, and tells its port. */
const CLOSER = `require('node:net').createServer((socket) => socket.destroy()).listen(0, '${SELF}', function () {
  console.log(this.address().port);
})`;


const host = new Host();
const clip = makeClip();
const CASES = { connections, keys: () => flood('keys'), tokens: () => flood('tokens') };
let isHeld = true;
for (const name of options.cases.split(',')) {
  const rows = await (CASES[name] ?? fail(`unknown case ${name}`))();
  console.log(`\n${name}\n\n${table(rows)}`);
  isHeld &&= rows.every((row) => !String(row.held ?? '').startsWith('no'));
}
process.exit(isHeld ? 0 : 1);

/** A node with a stream that is live, and others for those who come to publish meanwhile. */
async function serve(settings) {
  const weir = await start(binary, { host: '0.0.0.0', streams: 6, settings });
  const publisher = spawnChild(liveload, ['publish', '--url', weir.rtmp, '--file', clip, '--loop', '--quiet']);
  await sleep(3000);
  const { token } = await weir.api('POST', `/streams/${weir.stream}/tokens`, { sub: 'viewer', ttl_s: 3600 });
  const [rtmp, http] = [new URL(weir.rtmp), new URL(weir.watch)];
  return { weir, publisher, token, rtmp: Number(rtmp.port || 1935), http: Number(http.port), path: http.pathname };
}

async function connections() {
  const rows = [];
  for (const protocol of ['http', 'rtmp']) {
    for (const kind of ['idle', 'slow', 'half']) rows.push(await crowd(protocol, kind, { from: ELSEWHERE, count: 1000 }));
    rows.push(await crowd(protocol, 'idle', { from: SELF, count: 1 }));
  }
  return rows;
}

async function crowd(protocol, kind, source) {
  const node = await serve({ policy: 'public' });
  const pid = node.weir.child.pid;
  const before = sample(pid);
  const count = Number(options.connections);
  const isThere = source.from === ELSEWHERE;
  const asked = { protocol, kind, host: isThere ? HERE : SELF, port: node[protocol], count, rate: 3000, source };
  const child = talk('crowd.mjs', asked, isThere);
  const probes = [probe(() => publishes(node)), probe(() => joins(node))];
  const most = { ...before };
  let [told, lastOpened, lastClosed, isCut] = [{ begun: 0 }, 0, 0, false];
  child.on('message', (message) => (told = message));
  const begun = performance.now();
  const isOver = (files) => told.begun === count && files <= before.files + 5 && performance.now() - begun > 2000;
  while (performance.now() - begun < 60_000) {
    await sleep(100);
    const now = sample(pid);
    for (const key of Object.keys(most)) most[key] = Math.max(most[key], now[key]);
    if (told.begun < count) lastOpened = performance.now();
    else if (kind === 'half' && !isCut) isCut = !host.cut();
    lastClosed = performance.now();
    if (isOver(now.files)) break;
  }
  const [published, joined] = await Promise.all(probes.map(({ stop }) => stop()));
  child.disconnect();
  await sleep(3000);
  const after = sample(pid);
  if (isCut) host.join();
  await end(node.publisher, node.weir.child);
  const closed = kind === 'half' ? lastClosed - lastOpened : Math.max(told.slowest, 0);
  const grown = most.rss_kb - before.rss_kb;
  const isServed = [published, joined].every(({ times, failed }) => failed === 0 && Math.max(...times) < SERVED_WITHIN_MS);
  const held = [
    [isServed, 'those who mean well'],
    [grown < MEMORY_KB_MAX, 'memory'],
    [closed < CLOSED_WITHIN_MS && told.failed === 0 && after.files <= before.files + 5, 'closed'],
  ].filter(([is]) => !is);
  return {
    connections: `${protocol.toUpperCase()}, ${{ idle: 'idle', slow: 'a byte a second', half: 'half-open' }[kind]}`,
    from: source.count === 1 ? 'one address' : `${source.count} addresses`,
    'at once': most.files - before.files,
    'publisher served p50, worst': `${ms(published.times, 0.5)}, ${ms(published.times, 1)} ms`,
    'viewer served p50, worst': `${ms(joined.times, 0.5)}, ${ms(joined.times, 1)} ms`,
    'memory before, most, after': `${[before, most, after].map(({ rss_kb }) => Math.round(rss_kb / 1000)).join(', ')} MB`,
    'each': `${(grown / Math.max(1, most.files - before.files)).toFixed(1)} kB`,
    'last one closed after': `${(closed / 1000).toFixed(1)} s`,
    held: held.length === 0 ? 'yes' : `no: ${held.map(([, what]) => what).join(', ')}`,
  };
}

/** Rounds of nothing, of connections to one who closes them, and of the flood; the median round of each. */
async function flood(kind) {
  const node = await serve({ policy: 'signed' });
  const floor = spawnChild(process.execPath, ['-e', CLOSER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(await new Promise((resolve) => floor.stdout.once('data', resolve)));
  const common = { host: SELF, rate: Number(options.rate), path: node.path, token: node.token };
  const target = { ...common, kind, port: node[kind === 'keys' ? 'rtmp' : 'http'] };
  const BESIDE = {
    nothing: undefined,
    'connections closed by another program': { ...common, kind: 'connects', port, source: { from: SELF } },
    [`wrong ${kind} of one address`]: { ...target, source: { from: SELF } },
    [`wrong ${kind} of 10,000 addresses`]: { ...target, source: { from: '127.1', count: 10_000 } },
  };
  const seen = Object.fromEntries(Object.keys(BESIDE).map((name) => [name, []]));
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const [name, asked] of Object.entries(BESIDE)) seen[name].push(await beside(node, asked));
  }
  await end(node.publisher, node.weir.child, floor);
  const rows = Object.entries(seen).map(([name, rounds]) => [name, middle(rounds)]);
  const [[, quiet], [, floored], ...floods] = rows;
  for (const [, row] of floods) row.held = slowed(row, quiet, floored);
  return rows.map(([name, row]) => ({ beside: name, ...shown(row) }));
}

async function beside(node, asked) {
  const pid = node.weir.child.pid;
  const child = asked && talk('flood.mjs', asked, false);
  const watching = watch(node);
  // By then its viewers are there.
  await sleep(2500);
  const [spent, since] = [cpu(pid), performance.now()];
  const api = () => node.weir.api('GET', `/streams/${node.weir.stream}`);
  const probes = [probe(() => publishes(node)), probe(() => joins(node)), probe(api)];
  const watched = await watching;
  const cores = (cpu(pid) - spent) / ((performance.now() - since) / 1000);
  const [published, joined, called] = await Promise.all(probes.map(({ stop }) => stop()));
  const told = child && (await new Promise((resolve) => child.once('message', resolve) && child.send('stop')));
  const failed = published.failed + joined.failed + called.failed + watched.frames.gaps;
  return { frame: watched.latency_ms, published, joined, called, cores, told, failed };
}

async function watch({ weir, token }) {
  const where = ['watch', '--url', weir.watch, '--kind', 'ws', '--viewers', `${VIEWERS}`, '--sample', '20'];
  const how = ['--header', `Authorization: Bearer ${token}`, '--warmup', '1', '--baseline', '0', '--duration', options.seconds];
  const { stdout } = await promisify(execFile)(liveload, [...where, ...how, '--json', '--quiet'], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

/** Figures in ms of the rounds, each the median of its own. */
function middle(rounds) {
  const of = (figure) => rounds.map(figure).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)];
  const both = (times) => [0.5, 0.95].map((part) => of((round) => quantile(times(round), part)));
  const last = rounds.at(-1).told;
  return {
    ms: {
      'frame p50, p99 ms': [of(({ frame }) => frame.p50), of(({ frame }) => frame.p99)],
      'publish p50, p95 ms': both(({ published }) => published.times),
      'join p50, p95 ms': both(({ joined }) => joined.times),
      'API p50, p95 ms': both(({ called }) => called.times),
    },
    cores: of(({ cores }) => cores),
    flooder: last && of(({ told }) => told.cores),
    tries: last && of(({ told }) => told.rate),
    answers: last?.answers,
    failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}

/** What the machine is slowed by through the connections alone is not the server's. */
function slowed(row, quiet, floored) {
  const slower = Object.entries(row.ms).filter(([name, figures]) =>
    figures.some((figure, at) => figure > Math.max(quiet.ms[name][at], floored.ms[name][at]) * SLOWER + NOISE_MS),
  );
  const what = [...slower.map(([name]) => name.split(' ')[0]), ...(row.failed > 0 ? [`${row.failed} failed`] : [])];
  return what.length === 0 ? 'yes' : `no: ${what.join(', ')}`;
}

function shown({ ms: figures, cores, flooder, tries, answers, failed, held }) {
  const times = Object.entries(figures).map(([name, both]) => [name, both.map((one) => one.toFixed(1)).join(', ')]);
  const told = Object.entries(answers ?? {}).map(([answer, count]) => `${answer}: ${count}`);
  return {
    ...Object.fromEntries(times),
    'server, flooder: cores': `${cores.toFixed(2)}, ${flooder?.toFixed(2) ?? ''}`,
    'tries/s': tries?.toFixed(0) ?? '',
    answers: told.join('; '),
    failed,
    held: held ?? '',
  };
}

/** One who publishes, each time another stream, and leaves. */
async function publishes({ weir, rtmp }) {
  weir.turn = ((weir.turn ?? 0) % (weir.streams.length - 1)) + 1;
  const socket = await publish({ host: SELF, port: rtmp, key: weir.streams[weir.turn].key });
  socket.destroy();
}

/** One who watches, up to the first picture. */
async function joins({ http, path, token }) {
  const socket = connect({ host: SELF, port: http, noDelay: true });
  const heard = listen(socket);
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: weir.v1';
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${SELF}\r\n${upgrade}\r\n${key}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await heard.until((bytes) => bytes.includes('moof'));
  socket.destroy();
}

/** Does it again and again until it is stopped, one after the other; what it took each time. */
function probe(act) {
  const [times, errors] = [[], []];
  let [isOver, failed] = [false, 0];
  const running = (async () => {
    while (!isOver) {
      const begun = performance.now();
      await act().then(
        () => times.push(performance.now() - begun),
        (error) => errors.push(error) && (failed += 1),
      );
      await sleep(Math.max(0, PROBE_MS - (performance.now() - begun)));
    }
  })();
  const stop = async () => {
    isOver = true;
    await running;
    if (failed > 0) console.error(`${failed} failed, the first with: ${errors[0]}`);
    return { times, failed };
  };
  return { stop };
}

/** Starts a child beside this file, where wanted on the other host. */
function talk(file, asked, isThere) {
  const own = [process.execPath, [new URL(file, import.meta.url).pathname, JSON.stringify(asked)]];
  const [program, args] = isThere ? host.command(...own) : own;
  return spawnChild(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function sample(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { rss_kb: Number(/VmRSS:\s+(\d+)/.exec(status)[1]), files: readdirSync(`/proc/${pid}/fd`).length };
}

/** CPU seconds so far. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function quantile(times, part) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted.length > 0 ? sorted[Math.floor((sorted.length - 1) * part)] : Number.NaN;
}

function ms(times, part) {
  return quantile(times, part).toFixed(0);
}

function table(rows) {
  const names = Object.keys(rows[0]);
  const lines = [names, names.map(() => '---'), ...rows.map((row) => names.map((name) => row[name]))];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
