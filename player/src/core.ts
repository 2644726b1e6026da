/** Connection and playout of one stream, without a page: the same in a worker and on the main thread. */

import type { ErrorCode } from './backoff';
import { BoxError } from './boxes';
import { Connection, type ConnectionError } from './connection';
import type { Attachment, Bytes } from './mse';
import { Playout } from './playout';
import type { ServerMessage, StreamState, Track, TrackKind } from './protocol';
import type { SeekReason } from './sync';
import type { View } from './view';

const STATS_EVERY_MS = 10_000;
const STATS_APART_MS = 500; // of what is told as the page goes, perhaps twice
const TOKEN_WAIT_MS = 30_000; // for the page's `getToken`

export type CoreErrorCode = ErrorCode | 'no_media_source' | 'codec' | 'decode';

export interface CoreError {
  code: CoreErrorCode;
  fatal: boolean;
  message: string;
}

/** Which kinds of track are played. */
export type Wants = Readonly<Record<TrackKind, boolean>>;

export interface CoreOptions {
  url: string;
  token: string | undefined;
  targetMs: number | undefined;
  wants: Wants;
}

/** What the page tells its core. Plain data, as it may cross to a worker. */
export type Command =
  | { type: 'start'; options: CoreOptions }
  | { type: 'view'; view: View }
  /** Undefined: an answer to `get_token` that has none. */
  | { type: 'token'; token: string | undefined }
  | { type: 'wants'; wants: Wants }
  | { type: 'target'; targetMs: number | undefined }
  | { type: 'pause' | 'resume' | 'live' | 'stats' | 'stop' }
  | { type: 'media_error'; detail: string };

export type Phase = 'connecting' | 'open' | 'reconnecting';

/** What the core knows, told after each view. */
export interface Report {
  progressing: boolean;
  latencyMs: number | undefined;
  bufferMs: number;
  targetMs: number;
  jitterMs: number;
  rttMs: number | undefined;
  bitrateBps: number;
  /** Left out by the server. */
  framesLost: number;
  gaps: number;
  stalls: number;
  seeks: number;
  rebuilds: number;
  sockets: number;
  session: string | undefined;
  node: string | undefined;
}

export type CoreEvent =
  /** Another source for the element; views of an earlier one are out of date. */
  | { type: 'attach'; source: number; attachment: Attachment }
  | { type: 'seek'; to: number; reason: SeekReason }
  | { type: 'rate'; rate: number }
  | { type: 'phase'; phase: Phase; stream: StreamState | undefined }
  | { type: 'report'; report: Report }
  | { type: 'tracks'; tracks: readonly Track[]; unsupported: readonly TrackKind[] }
  | { type: 'gap'; frames: number; reason: string }
  | { type: 'error'; error: CoreError }
  | { type: 'get_token' }
  | { type: 'tokenneeded'; expiresInS: number }
  | { type: 'stopped' };

export class Core {
  readonly #emit: (event: CoreEvent) => void;
  readonly #playout: Playout;
  #connection: Connection | undefined;
  #phase: Phase = 'connecting';
  #stream: StreamState | undefined;
  #session: string | undefined;
  #node: string | undefined;
  #view: View | undefined;
  #statsSentMs = 0;
  #paused = false;
  #unsupported = new Set<TrackKind>();
  #answerToken: ((token: string | undefined) => void) | undefined;

  constructor(emit: (event: CoreEvent) => void) {
    this.#emit = emit;
    this.#playout = new Playout(() => this.#connection?.clock.offsetUs, {
      onUnsupported: (tracks) => this.#handleUnsupported(tracks),
      onFailed: (message) => this.#fail('decode', message),
      onAttach: (source, attachment) => emit({ type: 'attach', source, attachment }),
      onSeek: (to, reason) => emit({ type: 'seek', to, reason }),
      onRate: (rate) => emit({ type: 'rate', rate }),
    });
  }

  handle(command: Command): void {
    switch (command.type) {
      case 'start':
        this.#start(command.options);
        break;
      case 'view':
        this.#handleView(command.view);
        break;
      case 'token':
        this.#handleToken(command.token);
        break;
      case 'wants':
        this.#playout.handleWants(command.wants);
        this.#requestTracks();
        break;
      case 'target':
        this.#playout.askedTargetMs = command.targetMs;
        return;
      case 'pause':
      case 'resume':
        this.#setPaused(command.type === 'pause');
        break;
      case 'live':
        this.#playout.seekToLive();
        break;
      case 'media_error':
        this.#playout.handleMediaError(command.detail);
        break;
      case 'stats':
        this.#sendStats();
        break;
      case 'stop':
        this.#sendStats();
        this.#close();
        break;
    }
  }

  #start(options: CoreOptions): void {
    this.#emit({ type: 'report', report: this.#report(0) });
    this.#playout.askedTargetMs = options.targetMs;
    this.#playout.wants = options.wants;
    const { url, token } = options;
    this.#connection = new Connection(
      { url, token, getToken: () => this.#getToken() },
      {
        onConnecting: () => this.#tellPhase(this.#phase),
        onMessage: (message) => this.#handleMessage(message),
        onChunk: (bytes: Bytes) => this.#readMedia(() => this.#playout.handleChunk(bytes)),
        onLost: (error, retryInMs) => this.#handleLost(error, retryInMs),
        onFailed: (error) => this.#fail(error.code, error.message),
        onTokenNeeded: (expiresInS) => this.#emit({ type: 'tokenneeded', expiresInS }),
      },
    );
    this.#connection.open();
  }

  #getToken(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#answerToken?.(undefined), TOKEN_WAIT_MS);
      this.#answerToken = (token) => {
        clearTimeout(late);
        this.#answerToken = undefined;
        resolve(token);
      };
      this.#emit({ type: 'get_token' });
    });
  }

  #handleToken(token: string | undefined): void {
    if (this.#answerToken) this.#answerToken(token);
    else if (token) this.#connection?.setToken(token);
  }

  #handleLost(error: ConnectionError, retryInMs: number): void {
    const message = `${error.message}; next try in ${Math.round(retryInMs)} ms`;
    this.#emit({ type: 'error', error: { code: error.code, fatal: false, message } });
    this.#tellPhase('reconnecting');
  }

  #handleMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#session = message.session;
        this.#node = message.node;
        this.#stream = message.state;
        this.#playout.baseTargetMs = message.targetMs;
        this.#playout.handleBurst();
        this.#requestTracks();
        if (this.#paused) this.#connection?.send({ type: 'pause' });
        this.#tellPhase('open');
        break;
      case 'init':
        this.#readMedia(() => this.#handleInit(message.tracks));
        break;
      case 'live':
        this.#playout.handleLive();
        break;
      case 'gap':
        this.#playout.handleGap(message);
        this.#emit({ type: 'gap', frames: message.frames, reason: message.reason });
        break;
      case 'state':
        this.#stream = message.state;
        this.#tellPhase('open');
        break;
      default: // time, token and bye are the connection's, unknown ones nobody's
    }
  }

  #handleInit(tracks: readonly Track[]): void {
    this.#playout.handleInit(tracks);
    const playable = this.#playout.tracks;
    if (playable.filter((track) => this.#unsupported.delete(track.kind)).length > 0) this.#requestTracks();
    const unsupported = [...this.#unsupported].filter((kind) => tracks.some((track) => track.kind === kind));
    this.#emit({ type: 'tracks', tracks: playable, unsupported });
  }

  /** Media that can't be read is left out and told. */
  #readMedia(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BoxError)) throw error;
      this.#emit({ type: 'error', error: { code: 'malformed', fatal: false, message: error.message } });
    }
  }

  #handleUnsupported(tracks: readonly Track[]): void {
    for (const track of tracks) this.#unsupported.add(track.kind);
    const names = tracks.map((track) => codecName(track.codec)).join(' and ');
    const verb = tracks.length > 1 ? "aren't" : "isn't";
    const message = `${names} ${verb} supported by this browser`;
    this.#emit({ type: 'error', error: { code: 'codec', fatal: false, message } });
    this.#requestTracks();
  }

  /** Keeps the server from sending what isn't wanted or can't be shown; it sends everything unasked. */
  #requestTracks(): void {
    const { wants } = this.#playout;
    const video = wants.video && !this.#unsupported.has('video');
    const audio = wants.audio && !this.#unsupported.has('audio');
    this.#connection?.requestTracks(video, audio);
  }

  #setPaused(paused: boolean): void {
    if (this.#paused === paused) return;
    this.#paused = paused;
    this.#connection?.send({ type: paused ? 'pause' : 'resume' });
    this.#playout.handlePaused(paused);
  }

  #handleView(view: View): void {
    this.#view = view;
    this.#playout.tick(view);
    if (view.nowMs - this.#statsSentMs >= STATS_EVERY_MS) this.#sendStats();
    this.#emit({ type: 'report', report: this.#report(view.nowMs) });
  }

  #report(nowMs: number): Report {
    const connection = this.#connection;
    return {
      ...this.#playout.report(nowMs),
      rttMs: connection?.clock.rttMs,
      sockets: connection?.sockets ?? 0,
      session: this.#session,
      node: this.#node,
    };
  }

  #sendStats(): void {
    const view = this.#view;
    if (!view || this.#phase !== 'open' || view.nowMs - this.#statsSentMs < STATS_APART_MS) return;
    const isFirst = this.#statsSentMs === 0;
    this.#statsSentMs = view.nowMs;
    if (isFirst && view.firstFrameMs === undefined) return;
    const { latencyMs, bufferMs, stalls } = this.#report(view.nowMs);
    this.#connection?.send({
      type: 'stats',
      latency_ms: rounded(latencyMs),
      buffer_ms: Math.round(bufferMs),
      stalls,
      stalled_ms: Math.round(this.#playout.stalledMs),
      played_ms: Math.round(this.#playout.playedMs),
      dropped_frames: view.framesDropped,
      rate: view.rate,
      first_frame_ms: rounded(view.firstFrameMs),
    });
  }

  #fail(code: CoreErrorCode, message: string): void {
    this.#emit({ type: 'error', error: { code, fatal: true, message } });
    this.#close();
  }

  #tellPhase(phase: Phase): void {
    this.#phase = phase;
    this.#emit({ type: 'phase', phase, stream: this.#stream });
  }

  #close(): void {
    this.#answerToken?.(undefined);
    this.#connection?.close();
    this.#playout.close();
    this.#emit({ type: 'stopped' });
  }
}

/** By the first three letters of what RFC 6381 begins with. */
const CODECS: Record<string, string> = {
  avc: 'H.264',
  hvc: 'HEVC',
  hev: 'HEVC',
  av0: 'AV1',
  vp0: 'VP9',
  mp4: 'AAC',
  mp3: 'MP3',
  opu: 'Opus',
  fla: 'FLAC',
};

function codecName(codec: string): string {
  if (/^mp4a\.(40\.34|6b)/i.test(codec)) return 'MP3';
  return CODECS[codec.slice(0, 3).toLowerCase()] ?? codec;
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value);
}
