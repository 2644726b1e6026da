// A stand-in for the server's viewer side that makes faults to order: each playback id is a script.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer } from 'ws';
import { stamp } from './fragments.mjs';

const STEP_MS = 4;
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; " +
  "connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };
/** Media time at which every stream starts: not 0, as a stream that has run for a while. */
export const ORIGIN_S = 1000;

/**
 * One stream. A script is `{ clip, joinAt, refuse, events: [{ at, do }], keep(sample, seconds), holdFrom, holdTo }`,
 * all times in seconds of the stream; the first viewer comes at `joinAt`.
 */
class MockStream {
  constructor(script) {
    this.script = script;
    this.clip = script.clip;
    this.viewers = new Set();
    this.received = [];
    this.sentFrames = new Map(); // number -> wall clock, ms
    this.opened = 0;
    this.state = 'live';
    this.epoch = 1;
    this.skewS = 0;
    this.hidden = new Set(script.hideTracks ?? []);
    this.backlog = [];
    this.items = this.plan(this.clip, 0);
    this.events = [...(script.events ?? [])].sort((a, b) => a.at - b.at);
    this.held = [];
  }

  plan(clip, atS) {
    const items = clip.tracks.flatMap((track) =>
      track.samples.map((sample) => ({
        track,
        sample,
        clip,
        at: atS + (sample.dts + sample.duration) / track.timescale,
        dtsS: atS + sample.dts / track.timescale,
        ptsS: (sample.dts + sample.offset) / track.timescale,
      })),
    );
    return items.sort((a, b) => a.at - b.at);
  }

  start() {
    if (this.timer) return;
    this.startMs = Date.now() - (this.script.joinAt ?? 1.3) * 1000;
    this.step();
    this.timer = setInterval(() => this.step(), STEP_MS);
  }

  stop() {
    clearInterval(this.timer);
    for (const viewer of this.viewers) viewer.terminate();
  }

  get now() {
    return (Date.now() - this.startMs) / 1000;
  }

  step() {
    const now = this.now;
    while (this.events[0]?.at <= now) this.events.shift().do(this);
    const holding = this.script.holdFrom <= now && now < this.script.holdTo;
    while (this.items[0]?.at <= now && !holding) this.emit(this.items.shift());
  }

  emit({ track, sample, clip, dtsS, ptsS, at }) {
    if (this.state !== 'live' || this.hidden.has(track.kind)) return;
    if (this.script.keep && !this.script.keep(sample, at, this)) return;
    const dts = Math.round((ORIGIN_S + dtsS + this.skewS) * track.timescale);
    const wallMs = this.startMs + at * 1000;
    const bytes = stamp(sample, track, dts, wallMs);
    if (this.script.damage?.(sample, at)) bytes.fill(0x5a, bytes.indexOf('mdat') + 4);
    if (track.kind === 'video') {
      this.sentFrames.set(clip.first + Math.round(ptsS * clip.fps), wallMs);
      if (sample.key) this.backlog = [];
    }
    this.backlog.push(bytes);
    if (this.onFirstAfterGap && track.kind === 'video') {
      const tell = this.onFirstAfterGap;
      this.onFirstAfterGap = undefined;
      tell(dts / track.timescale);
    }
    for (const viewer of this.viewers) viewer.send(bytes);
  }

  send(message) {
    for (const viewer of this.viewers) viewer.send(JSON.stringify(message));
  }

  setState(state) {
    this.state = state;
    this.send({ type: 'state', state });
  }

  init() {
    const tracks = this.clip.tracks
      .filter((track) => !this.hidden.has(track.kind))
      .map(({ samples, init, ...track }) => ({
        ...track,
        fps: this.clip.fps,
        init: init.toString('base64'),
      }));
    for (const track of tracks)
      if (this.script.codec?.[track.kind]) Object.assign(track, this.script.codec[track.kind]);
    return { type: 'init', epoch: String(this.epoch), tracks };
  }

  /** Another publisher: its media goes on at this point of the timeline. */
  switchClip(clip) {
    this.clip = clip;
    this.epoch += 1;
    this.backlog = [];
    this.items = this.plan(clip, this.now);
    this.send(this.init());
  }

  showTrack(kind) {
    this.hidden.delete(kind);
    this.epoch += 1;
    this.send(this.init());
  }

  /** Tells viewers of what is missing, right before the first video chunk after it. */
  announceGap(fromS, frames) {
    this.onFirstAfterGap = (toS) =>
      this.send({
        type: 'gap',
        track: 1,
        from_us: Math.round((ORIGIN_S + fromS) * 1e6),
        to_us: Math.round(toS * 1e6),
        frames,
        reason: 'slow',
      });
  }

  /** As a server that restarted and lost its timeline: clients are dropped, times begin elsewhere. */
  restart(skewS) {
    this.skewS += skewS;
    this.backlog = [];
    this.drop();
  }

  drop() {
    for (const viewer of this.viewers) viewer.terminate();
  }

  join(socket) {
    this.opened += 1;
    this.start();
    const say = (message) => socket.send(JSON.stringify(message));
    const { state } = this;
    say({
      type: 'hello',
      session: `vs_${this.opened}`,
      stream: 'mock',
      state,
      server_time_us: Date.now() * 1000,
      target_ms: this.script.targetMs ?? 150,
    });
    if (state === 'live') {
      say(this.init());
      for (const bytes of this.backlog) socket.send(bytes);
      say({ type: 'live', edge_us: Math.round((ORIGIN_S + this.skewS + this.now) * 1e6) });
    }
    this.viewers.add(socket);
    socket.on('close', () => this.viewers.delete(socket));
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      this.received.push(message);
      if (message.type === 'time')
        say({ type: 'time', t0_us: message.t0_us, server_time_us: Date.now() * 1000 });
      if (message.type === 'pause') this.viewers.delete(socket);
      if (message.type === 'resume') {
        for (const bytes of this.backlog) socket.send(bytes);
        this.viewers.add(socket);
      }
    });
  }
}

/** Serves the built player from `dist` and the streams of `scripts` (playback id -> script). */
export async function startMock({ dist, scripts }) {
  const streams = new Map(Object.entries(scripts).map(([id, script]) => [id, new MockStream(script)]));
  const http = createServer((request, response) => answer(request, response));
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: () => 'weir.v1',
    perMessageDeflate: false,
  });

  const find = (url) => streams.get(decodeURIComponent(url.split('?')[0].replace(/^\/live\//, '')));
  const refusal = (stream) => (stream ? stream.script.refuse : { status: 404, title: 'no such stream' });

  async function answer(request, response) {
    const path = request.url.split('?')[0];
    if (path.startsWith('/live/')) return explain(find(path), response);
    const file = path.startsWith('/watch/') ? 'watch.html' : normalize(path.replace(/^\/player\//, ''));
    try {
      const body = await readFile(join(dist, file));
      response.writeHead(200, {
        'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
        'content-security-policy': CSP,
        'referrer-policy': 'no-referrer',
      });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  function explain(stream, response) {
    const refuse = refusal(stream);
    response.writeHead(refuse?.status ?? 200, {
      'content-type': refuse ? 'application/problem+json' : 'application/json',
    });
    response.end(JSON.stringify(refuse ?? { state: stream.state, policy: 'public' }));
  }

  http.on('upgrade', (request, socket, head) => {
    socket.setNoDelay(true);
    const stream = find(request.url);
    const refuse = refusal(stream);
    if (refuse)
      return socket.end(
        `HTTP/1.1 ${refuse.status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
    sockets.handleUpgrade(request, socket, head, (accepted) => stream.join(accepted));
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${http.address().port}`,
    stream: (id) => streams.get(id),
    async close() {
      for (const stream of streams.values()) stream.stop();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
