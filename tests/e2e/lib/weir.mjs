// A real server for a test: started on free ports with a folder of its own, spoken to by its API.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, freePorts, until } from './processes.mjs';

const READY_MS = 20_000;

/** `settings`: more of the server's `WEIR_*`. */
export async function startWeir(binary, settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'weir-e2e-'));
  const [http, rtmp, internal] = await freePorts(3);
  const adminKey = `wk_${randomBytes(24).toString('hex')}`;
  const child = new Child('weir', binary, ['serve'], {
    cwd: folder,
    env: {
      ...withoutSettings(process.env),
      WEIR_HTTP_LISTEN: `127.0.0.1:${http}`,
      WEIR_RTMP_LISTEN: `127.0.0.1:${rtmp}`,
      WEIR_INTERNAL_LISTEN: `127.0.0.1:${internal}`,
      WEIR_ADMIN_KEY: adminKey,
      WEIR_LOG_FORMAT: 'text',
      RUST_LOG: process.env.RUST_LOG ?? 'info',
      RUST_BACKTRACE: '1',
      NO_COLOR: '1',
      ...settings,
    },
  });
  const weir = new Weir({ child, folder, http, rtmp, internal, adminKey });
  try {
    await until('/readyz', READY_MS, () => weir.ready());
  } catch (error) {
    await weir.stop();
    throw new Error(`${error.message}\n${child.tail()}`);
  }
  return weir;
}

/** The server refuses settings that it does not know, such as those of these tests. */
export function withoutSettings(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('WEIR_')));
}

class Weir {
  constructor(parts) {
    Object.assign(this, parts);
    this.base = `http://127.0.0.1:${this.http}`;
  }

  async ready() {
    if (this.child.exit) {
      const { code, signal } = this.child.exit;
      throw Object.assign(new Error(`the server ended: ${signal ?? code}`), { fatal: true });
    }
    return (await fetch(`${this.base}/readyz`)).ok;
  }

  async api(method, path, body, wanted) {
    const answer = await fetch(`${this.base}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.adminKey}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!wanted.includes(answer.status)) {
      throw new Error(
        `${method} /api/v1${path} ${JSON.stringify(body)}: ${answer.status}, wanted ${wanted}: ${text}`,
      );
    }
    return text ? JSON.parse(text) : undefined;
  }

  /** A stream that wants tokens, of a new tenant if none is named, and a token for it. */
  async createStream(name, tenant) {
    const newTenant = async () => (await this.api('POST', '/tenants', { name: `tenant of ${name}` }, [200, 201])).id;
    const body = { tenant: tenant ?? (await newTenant()), name, policy: 'signed' };
    const stream = await this.api('POST', '/streams', body, [201]);
    const token = await this.token(stream, 600);
    const key = stream.stream_key?.key;
    for (const [field, value] of Object.entries({
      playback_id: stream.playback_id,
      key,
      token,
    })) {
      if (typeof value !== 'string') throw new Error(`no ${field} in ${JSON.stringify(stream)}`);
    }
    return {
      id: stream.id,
      tenant: body.tenant,
      playbackId: stream.playback_id,
      token,
      rtmpUrl: `rtmp://127.0.0.1:${this.rtmp}/live/${key}`,
      pageUrl: `${this.base}/watch/${stream.playback_id}#token=${token}`,
    };
  }

  async token(stream, ttl_s) {
    const path = `/streams/${stream.id}/tokens`;
    return (await this.api('POST', path, { sub: 'e2e', ttl_s }, [200, 201])).token;
  }

  /** What the player asks when it was refused: `{ status, body }`. */
  async ask(playbackId, token) {
    const answer = await fetch(`${this.base}/live/${playbackId}`, {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    return { status: answer.status, body: await answer.json().catch(() => undefined) };
  }

  async stop() {
    const exit = await this.child.end('SIGTERM');
    await rm(this.folder, { recursive: true, force: true });
    return exit;
  }
}
