// A cluster as processes on this machine: private PostgreSQL and Redis, three nodes, haproxy in front of them.

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Child, freePorts, until } from './processes.mjs';
import { withoutSettings } from './weir.mjs';

const START_MS = 30_000;
const NAMES = ['a', 'b', 'c'];
const HAPROXY = new URL('../../../docs/deploy/haproxy.cfg', import.meta.url).pathname;
/** PostgreSQL refuses to run as root. */
const DATABASE_USER = 'postgres';

/** `lb` names the ports of the load balancer; free ones where it does not. */
export async function startCluster(binary, lb = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'weir-cluster-'));
  const cluster = new Cluster(binary, folder);
  try {
    await cluster.start(lb);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class Cluster {
  nodes = new Map();
  services = [];
  adminKey = `wk_${randomBytes(24).toString('hex')}`;
  secret = randomBytes(32).toString('hex');

  constructor(binary, folder) {
    Object.assign(this, { binary, folder });
  }

  async start(lb) {
    const ports = await freePorts(3 + 3 * NAMES.length);
    [this.redisPort, this.http, this.rtmp] = ports;
    Object.assign(this, lb);
    this.base = `http://127.0.0.1:${this.http}`;
    await Promise.all([this.startDatabase(), this.startRedis()]);
    for (const [index, name] of NAMES.entries()) {
      const [http, rtmp, internal] = ports.slice(3 + 3 * index);
      this.nodes.set(name, { name, http, rtmp, internal });
    }
    // The first brings the database up to date.
    for (const name of NAMES) await this.startNode(name);
    this.startBalancer();
    await until('the load balancer', START_MS, async () => (await fetch(`${this.base}/readyz`)).ok);
  }

  async startDatabase() {
    const bin = binaries();
    const data = join(this.folder, 'postgres');
    const isRoot = userInfo().uid === 0;
    const script = `mkdir ${data} && cd ${data} &&
      ${bin}/initdb -D data -U ${DATABASE_USER} -A trust --no-sync --locale=C -E UTF8 >init.log 2>&1 || exit 1
      ${bin}/postgres -D data -k ${data} -c listen_addresses= -c fsync=off -c max_connections=200 >server.log 2>&1 &
      pid=$!; cat >/dev/null; kill -INT $pid; wait $pid`;
    if (isRoot) {
      const { stdout } = await run('id', ['-u', DATABASE_USER]);
      await chown(this.folder, Number(stdout), -1);
    }
    const [command, ...rest] = isRoot ? ['su', DATABASE_USER, '-s', '/bin/sh', '-c', script] : ['sh', '-c', script];
    this.services.push(service('postgres', command, rest));
    await until('PostgreSQL', START_MS, async () => (await run(`${bin}/pg_isready`, ['-q', '-h', data])).code === 0);
    this.databaseUrl = `postgres://${DATABASE_USER}@localhost/postgres?host=${data}`;
  }

  async startRedis() {
    const script = `redis-server --port ${this.redisPort} --bind 127.0.0.1 --save '' --appendonly no --dir ${this.folder} &
      pid=$!; cat >/dev/null; kill $pid; wait $pid`;
    this.services.push(service('redis', 'sh', ['-c', script]));
    await until('Redis', START_MS, async () => (await this.redis('PING')) === 'PONG');
  }

  /** Also after it was ended: on the same ports. */
  async startNode(name) {
    const node = this.nodes.get(name);
    node.base = `http://127.0.0.1:${node.http}`;
    node.child = new Child(`node ${name}`, this.binary, ['serve'], {
      cwd: this.folder,
      env: {
        ...withoutSettings(process.env),
        WEIR_NODE_ID: name,
        WEIR_HTTP_LISTEN: `127.0.0.1:${node.http}`,
        WEIR_RTMP_LISTEN: `127.0.0.1:${node.rtmp}`,
        WEIR_INTERNAL_LISTEN: `127.0.0.1:${node.internal}`,
        WEIR_DATABASE_URL: this.databaseUrl,
        WEIR_REDIS_URL: `redis://127.0.0.1:${this.redisPort}`,
        WEIR_SECRET: this.secret,
        WEIR_ADMIN_KEY: this.adminKey,
        WEIR_TRUSTED_PROXIES: '127.0.0.1/32',
        WEIR_PUBLIC_URL: this.base,
        WEIR_LOG_FORMAT: 'text',
        RUST_LOG: process.env.RUST_LOG ?? 'info',
        RUST_BACKTRACE: '1',
        NO_COLOR: '1',
      },
    });
    await until(`node ${name}`, START_MS, async () => {
      if (node.child.exit) throw Object.assign(new Error(`it ended\n${node.child.tail()}`), { fatal: true });
      return (await fetch(`${node.base}/readyz`)).ok;
    });
  }

  startBalancer() {
    const env = { ...process.env, LB_HTTP: `127.0.0.1:${this.http}`, LB_RTMP: `127.0.0.1:${this.rtmp}` };
    for (const [name, node] of this.nodes) {
      const upper = name.toUpperCase();
      Object.assign(env, {
        [upper]: '127.0.0.1',
        [`${upper}_HTTP`]: String(node.http),
        [`${upper}_RTMP`]: String(node.rtmp),
      });
    }
    const script = `haproxy -db -q -f ${HAPROXY} & pid=$!; cat >/dev/null; kill $pid; wait $pid`;
    this.services.push(service('haproxy', 'sh', ['-c', script], { env }));
  }

  /** One inline command's answer, as text; undefined where there is none. */
  redis(command) {
    return new Promise((resolve) => {
      let answer = '';
      const socket = connect(this.redisPort, '127.0.0.1', () => socket.write(`${command}\r\nQUIT\r\n`));
      socket.setTimeout(2000, () => socket.destroy());
      socket.on('data', (data) => {
        answer += data;
      });
      socket.on('error', () => resolve(undefined));
      socket.on('close', () => {
        const [first = '', second] = answer.split('\r\n');
        resolve(first.startsWith('$-1') ? undefined : first.startsWith('$') ? second : first.slice(1));
      });
    });
  }

  /** `{ node, fence }` of the lease on a stream. */
  async owner(stream) {
    const owner = await this.redis(`GET owner:${stream}`);
    return owner?.startsWith('{') ? JSON.parse(owner) : undefined;
  }

  /** A node's metric without labels. */
  async metric(name, metric) {
    const { internal } = this.nodes.get(name);
    const text = await (await fetch(`http://127.0.0.1:${internal}/metrics`)).text();
    const line = text.split('\n').find((line) => line.startsWith(`${metric} `));
    return line ? Number(line.split(' ')[1]) : 0;
  }

  async api(method, path, body) {
    const answer = await fetch(`${this.base}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.adminKey}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** A public stream of a new tenant; its addresses are the load balancer's. */
  async createStream(name) {
    const tenant = await this.api('POST', '/tenants', { name: `tenant of ${name}` });
    const stream = await this.api('POST', '/streams', { tenant: tenant.id, name, policy: 'public' });
    const { key } = stream.stream_key;
    return {
      id: stream.id,
      playbackId: stream.playback_id,
      key,
      rtmpUrl: `rtmp://127.0.0.1:${this.rtmp}/live/${key}`,
      pageUrl: `${this.base}/watch/${stream.playback_id}`,
    };
  }

  tail() {
    return [...this.nodes.values()].map(({ child }) => child?.tail() ?? '').join('\n');
  }

  async stop() {
    await Promise.all([...this.nodes.values()].map(({ child }) => child?.end('SIGTERM')));
    for (const { child, end } of this.services.toReversed()) {
      end();
      await child.done;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Ends when its standard input does, also where this process is killed. */
function service(name, command, args, options = {}) {
  const child = new Child(name, command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, ...options });
  return { child, end: () => child.process.stdin.end() };
}

async function run(command, args) {
  const child = new Child(command, command, args);
  const { code } = await child.done;
  return { code, stdout: child.lines.join('\n') };
}

function binaries() {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base) : [];
  const found = versions.map((version) => `${base}/${version}/bin`).filter((bin) => existsSync(`${bin}/initdb`));
  if (found.length === 0) throw new Error(`no ${base}/*/bin/initdb: apt install postgresql`);
  return found.sort().at(-1);
}
