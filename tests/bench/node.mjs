// A node to measure, what publishes to it, and what all of them leave behind.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ADMIN_KEY = 'wk_benchmark_0123456789abcdefghijklmnop';
const READY_MS = 20_000;

const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/**
 * A node of its own with a public stream, or several; `api(method, path, body)` asks it as the administrator.
 * With `tls` viewers come by wss; `settings` are the stream's. Publishers and viewers are listened for on `host`.
 */
export async function start(binary, { tls = false, settings = {}, streams = 1, host = '127.0.0.1' } = {}) {
  const data = mkdtempSync(join(folder, 'node-'));
  const environment = { WEIR_ADMIN_KEY: ADMIN_KEY, WEIR_LOG_FORMAT: 'json', WEIR_LIMITS_API_RATE: '10000' };
  if (tls) Object.assign(environment, makeCertificate(data));
  for (const listener of ['HTTP', 'RTMP', 'INTERNAL']) environment[`WEIR_${listener}_LISTEN`] = `${host}:0`;
  const child = spawnChild(binary, ['serve'], { cwd: data, env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  const at = await new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`weir is not ready: ${text}`)), READY_MS);
    child.stderr.on('data', (piece) => {
      text += piece;
      const ready = text.split('\n').find((line) => line.includes('"message":"ready"'));
      if (!ready) return;
      resolve(JSON.parse(ready.replaceAll('0.0.0.0', '127.0.0.1')), clearTimeout(timer));
      // What comes later is let go as it comes.
      child.stderr.removeAllListeners('data').resume();
    });
  });
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
  const api = async (method, path, body) => {
    const init = { method, headers, body: body && JSON.stringify(body) };
    const answer = await fetch(`${tls ? 'https' : 'http'}://${at.http}/api/v1${path}`, init);
    const text = await answer.text();
    if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${text}`), { status: answer.status });
    return text && JSON.parse(text);
  };
  const tenant = await api('POST', '/tenants', { name: 'bench' });
  const made = [];
  for (let at = 0; at < streams; at += 1) {
    const wanted = { tenant: tenant.id, name: `bench ${at}`, policy: 'public', ...settings };
    const { id, ingest, play } = await api('POST', '/streams', wanted);
    made.push({ id, rtmp: ingest.rtmp_url, watch: play.ws_url, key: ingest.stream_key });
  }
  const [{ id: stream, rtmp, watch }] = made;
  return { child, api, internal: at.internal, tenant: tenant.id, stream, rtmp, watch, streams: made };
}

/** For this machine only; no viewer of a benchmark asks who signed it. */
function makeCertificate(into) {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  const [cert, key] = [join(into, 'cert.pem'), join(into, 'key.pem')];
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost`;
  execFileSync('openssl', [...args.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { WEIR_TLS_CERT: cert, WEIR_TLS_KEY: key };
}

/** 720p30 with a keyframe each 2 s at 2.65 Mbit/s, as in the table of peers; `small` is a twelfth of that. */
export function makeClip({ bframes = 0, small = false } = {}) {
  const file = join(folder, `clip-${bframes}-${small}.flv`);
  const [size, rate, sound] = small ? ['320x180', '160k', '48k'] : ['1280x720', '2500k', '128k'];
  const gop = `-bf ${bframes} -b_strategy 0 -g 60 -keyint_min 60 -sc_threshold 0`;
  const video = `-c:v libx264 -preset veryfast ${gop} -b:v ${rate} -maxrate ${rate} -bufsize ${rate}`;
  const source = `-f lavfi -i testsrc2=s=${size}:r=30 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 20`;
  const args = `-v error -y ${source} ${video} -pix_fmt yuv420p -c:a aac -b:a ${sound} -f flv`.split(' ');
  execFileSync('ffmpeg', [...args, file]);
  return file;
}

export function spawnChild(command, args, more = { stdio: 'ignore' }) {
  const child = spawn(command, args, more);
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

export async function end(...started) {
  for (const child of started) {
    child.kill('SIGTERM');
    if (child.exitCode === null) await new Promise((resolve) => child.on('exit', resolve));
  }
}

export function needed(name, what) {
  const path = process.env[name];
  return path && existsSync(path) ? path : fail(`${name} is not set to ${what}`);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function fail(what) {
  console.error(what);
  process.exit(2);
}
