/** Plays one stream in one video element: `connecting` to `failed`, events, statistics. */

import type { ErrorCode } from './backoff';
import { BoxError } from './boxes';
import { Connection, type ConnectionError, type GetToken, nowUs } from './connection';
import { Emitter, type Listener } from './emitter';
import { hasMediaSource } from './mse';
import { Playout } from './playout';
import type { ServerMessage, StreamState, Track, TrackKind } from './protocol';
import { TICK_MS } from './sync';

const STATS_EVERY_MS = 10_000;
const HICCUP_MS = 250; // shorter interruptions are not told as buffering

export type EngineState =
  | 'idle'
  | 'connecting'
  | 'waiting'
  | 'buffering'
  | 'playing'
  | 'reconnecting'
  | 'ended'
  | 'failed';

export type EngineErrorCode = ErrorCode | 'no_media_source' | 'codec' | 'decode';

export interface EngineError {
  code: EngineErrorCode;
  fatal: boolean;
  message: string;
}

export interface EngineOptions {
  video: HTMLVideoElement;
  /** `wss://HOST/live/{playback_id}` */
  url: string;
  token?: string;
  getToken?: GetToken;
  /** Buffer to hold, instead of the server's `target_ms`. */
  targetMs?: number;
}

export interface EngineEvents {
  state: { state: EngineState; stream: StreamState | undefined };
  error: EngineError;
  tracks: { tracks: readonly Track[]; unsupported: readonly TrackKind[] };
  gap: { frames: number; reason: string };
  seek: { reason: string };
  muted: undefined;
  tokenneeded: { expiresInS: number };
}

export interface Stats {
  latencyMs: number | undefined;
  bufferMs: number;
  targetMs: number;
  jitterMs: number;
  rttMs: number | undefined;
  bitrateBps: number;
  fps: number;
  width: number;
  height: number;
  rate: number;
  framesShown: number;
  /** Decoded too late to be shown, by the browser's count. */
  framesDropped: number;
  /** Left out by the server. */
  framesLost: number;
  gaps: number;
  stalls: number;
  seeks: number;
  rebuilds: number;
  sockets: number;
  firstFrameMs: number | undefined;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #video: HTMLVideoElement;
  readonly #events = new Emitter<EngineEvents>();
  #state: EngineState = 'idle';
  #phase: 'idle' | 'connecting' | 'open' | 'reconnecting' | 'failed' = 'idle';
  #stream: StreamState | undefined;
  #toldStream: StreamState | undefined;
  #connection: Connection | undefined;
  #playout: Playout | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #startedAtMs = 0;
  #firstFrameMs: number | undefined;
  #statsSentMs = 0;
  #progressedAtMs = Number.NEGATIVE_INFINITY;
  #paused = false;
  #unsupported = new Set<TrackKind>();

  constructor(options: EngineOptions) {
    this.#options = { ...options };
    this.#video = options.video;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** The publisher's state, undefined before the server told it. */
  get stream(): StreamState | undefined {
    return this.#stream;
  }

  on<Name extends keyof EngineEvents>(name: Name, listener: Listener<EngineEvents[Name]>): () => void {
    return this.#events.on(name, listener);
  }

  start(): void {
    this.stop();
    if (!hasMediaSource()) {
      this.#fail('no_media_source', 'this browser has no Media Source Extensions');
      return;
    }
    const { url, token, getToken } = this.#options;
    this.#startedAtMs = performance.now();
    this.#statsSentMs = this.#startedAtMs;
    this.#firstFrameMs = undefined;
    this.#progressedAtMs = Number.NEGATIVE_INFINITY;
    this.#connection = new Connection({ url, token, getToken }, this.#connectionEvents());
    this.#playout = new Playout(this.#video, () => this.#serverNowUs(), {
      onUnsupported: (tracks) => this.#handleUnsupported(tracks),
      onFailed: (detail) => this.#fail('decode', detail),
      onMuted: () => this.#events.emit('muted', undefined),
      onSeek: (reason) => this.#events.emit('seek', { reason }),
    });
    this.#video.addEventListener('pause', this.#handlePause);
    this.#video.addEventListener('play', this.#handlePlay);
    this.#timer = setInterval(() => this.#handleTick(), TICK_MS);
    this.#connection.open();
  }

  stop(): void {
    this.#sendStats();
    this.#close();
    this.#phase = 'idle';
    this.#stream = undefined;
    this.#update();
  }

  /** Replaces the token, in band where there is a connection; starts again where it was the reason to stop. */
  setToken(token: string): void {
    this.#options.token = token;
    if (this.#phase === 'failed') this.start();
    else this.#connection?.setToken(token);
  }

  seekToLive(): void {
    this.#playout?.seekToLive();
  }

  get stats(): Stats {
    const nowMs = performance.now();
    const video = this.#video;
    const playout = this.#playout;
    return {
      latencyMs: playout?.latencyMs(),
      bufferMs: playout?.bufferMs() ?? 0,
      targetMs: playout?.targetMs(nowMs) ?? 0,
      jitterMs: playout?.jitterMs ?? 0,
      rttMs: this.#connection?.clock.rttMs,
      bitrateBps: playout?.bitrateBps(nowMs) ?? 0,
      fps: playout?.fps(nowMs) ?? 0,
      width: video.videoWidth,
      height: video.videoHeight,
      rate: video.playbackRate,
      framesShown: playout?.framesShown ?? 0,
      framesDropped: video.getVideoPlaybackQuality().droppedVideoFrames,
      framesLost: playout?.framesLost ?? 0,
      gaps: playout?.gaps ?? 0,
      stalls: playout?.stalls ?? 0,
      seeks: playout?.seeks ?? 0,
      rebuilds: playout?.rebuilds ?? 0,
      sockets: this.#connection?.sockets ?? 0,
      firstFrameMs: this.#firstFrameMs,
    };
  }

  #connectionEvents() {
    return {
      onConnecting: () => {
        this.#phase = this.#phase === 'idle' ? 'connecting' : this.#phase;
        this.#update();
      },
      onMessage: (message: ServerMessage) => this.#handleMessage(message),
      onChunk: (bytes: Uint8Array<ArrayBuffer>) => this.#readMedia(() => this.#playout?.handleChunk(bytes)),
      onLost: (error: ConnectionError, retryInMs: number) => {
        this.#phase = 'reconnecting';
        const message = `${error.message}; next try in ${Math.round(retryInMs)} ms`;
        this.#events.emit('error', { code: error.code, fatal: false, message });
        this.#update();
      },
      onFailed: (error: ConnectionError) => this.#fail(error.code, error.message),
      onTokenNeeded: (expiresInS: number) => this.#events.emit('tokenneeded', { expiresInS }),
    };
  }

  #handleMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#phase = 'open';
        this.#stream = message.state;
        if (this.#playout) this.#playout.baseTargetMs = this.#options.targetMs ?? message.targetMs;
        this.#playout?.handleBurst();
        if (this.#unsupported.size > 0) this.#requestTracks();
        if (this.#paused) this.#connection?.send({ type: 'pause' });
        break;
      case 'init':
        this.#readMedia(() => this.#handleInit(message.tracks));
        break;
      case 'live':
        this.#playout?.handleLive();
        break;
      case 'gap':
        this.#playout?.handleGap(message.track, message.fromUs, message.toUs, message.frames);
        this.#events.emit('gap', { frames: message.frames, reason: message.reason });
        break;
      case 'state':
        this.#stream = message.state;
        break;
      default: // time, token and bye are the connection's, unknown ones nobody's
    }
    this.#update();
  }

  #handleInit(tracks: readonly Track[]): void {
    this.#playout?.handleInit(tracks);
    const playable = this.#playout?.tracks ?? [];
    if (playable.some((track) => this.#unsupported.delete(track.kind))) this.#requestTracks();
    const unsupported = [...this.#unsupported].filter((kind) => tracks.some((track) => track.kind === kind));
    this.#events.emit('tracks', { tracks: playable, unsupported });
  }

  /** Media that can't be read is left out and told. */
  #readMedia(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BoxError)) throw error;
      this.#events.emit('error', { code: 'malformed', fatal: false, message: error.message });
    }
  }

  #handleUnsupported(tracks: readonly Track[]): void {
    for (const track of tracks) this.#unsupported.add(track.kind);
    const names = tracks.map((track) => codecName(track.codec)).join(' and ');
    const verb = tracks.length > 1 ? "aren't" : "isn't";
    this.#events.emit('error', {
      code: 'codec',
      fatal: false,
      message: `${names} ${verb} supported by this browser`,
    });
    this.#requestTracks();
  }

  /** Keeps the server from sending what can't be shown. */
  #requestTracks(): void {
    const wants = (kind: TrackKind) => !this.#unsupported.has(kind);
    this.#connection?.send({ type: 'tracks', video: wants('video'), audio: wants('audio') });
  }

  readonly #handlePause = (): void => {
    if (this.#paused || this.#phase !== 'open' || this.#video.error) return; // browsers pause after an error
    this.#paused = true;
    this.#playout?.handlePause();
    this.#connection?.send({ type: 'pause' });
  };

  readonly #handlePlay = (): void => {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection?.send({ type: 'resume' });
    this.#playout?.handleResume();
  };

  #handleTick(): void {
    const nowMs = performance.now();
    this.#playout?.tick(nowMs);
    if (this.#firstFrameMs === undefined && this.#playout?.framesShown) {
      this.#firstFrameMs = nowMs - this.#startedAtMs;
    }
    if (nowMs - this.#statsSentMs >= STATS_EVERY_MS) this.#sendStats();
    this.#update();
  }

  #sendStats(): void {
    if (this.#phase !== 'open') return;
    this.#statsSentMs = performance.now();
    const { latencyMs, bufferMs, stalls, framesDropped, rate, firstFrameMs } = this.stats;
    this.#connection?.send({
      type: 'stats',
      latency_ms: rounded(latencyMs),
      buffer_ms: Math.round(bufferMs),
      stalls,
      dropped_frames: framesDropped,
      rate,
      first_frame_ms: rounded(firstFrameMs),
    });
  }

  #serverNowUs(): number | undefined {
    const offsetUs = this.#connection?.clock.offsetUs;
    return offsetUs === undefined ? undefined : nowUs() + offsetUs;
  }

  #fail(code: EngineErrorCode, message: string): void {
    this.#close();
    this.#phase = 'failed';
    this.#update();
    this.#events.emit('error', { code, fatal: true, message });
  }

  #close(): void {
    clearInterval(this.#timer);
    this.#video.removeEventListener('pause', this.#handlePause);
    this.#video.removeEventListener('play', this.#handlePlay);
    this.#connection?.close();
    this.#playout?.close();
    this.#paused = false;
  }

  #update(): void {
    const state = this.#derive();
    const stream = this.#stream;
    if (state === this.#state && stream === this.#toldStream) return;
    this.#state = state;
    this.#toldStream = stream;
    this.#events.emit('state', { state, stream });
  }

  #derive(): EngineState {
    if (this.#phase !== 'open') return this.#phase;
    if (this.#stream === 'ended') return 'ended';
    if (this.#stream === 'waiting' || this.#stream === 'interrupted') return 'waiting';
    const nowMs = performance.now();
    if (this.#playout?.progressing) this.#progressedAtMs = nowMs;
    return nowMs - this.#progressedAtMs < HICCUP_MS ? 'playing' : 'buffering';
  }
}

function codecName(codec: string): string {
  const names: Record<string, string> = {
    avc1: 'H.264',
    avc3: 'H.264',
    hvc1: 'HEVC',
    hev1: 'HEVC',
    av01: 'AV1',
    vp09: 'VP9',
    mp4a: 'AAC',
    opus: 'Opus',
    flac: 'FLAC',
    fLaC: 'FLAC',
    mp3: 'MP3',
  };
  if (codec === 'mp4a.40.34' || codec === 'mp4a.6b') return 'MP3';
  return names[codec.split('.')[0] ?? codec] ?? codec;
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value);
}
