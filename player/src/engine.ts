/** Plays one stream in one video element: `connecting` to `failed`, events, statistics. */

import { Attention } from './attention';
import { epochMs } from './clock';
import type { GetToken } from './connection';
import type { CoreError, CoreErrorCode, CoreEvent, Phase, Report, Wants } from './core';
import { Emitter, type Listener } from './emitter';
import { FrameWatch } from './frames';
import { type CoreHost, startCore } from './host';
import { type Attachment, hasMediaSource } from './mse';
import type { StreamState, Track, TrackKind } from './protocol';
import { type Range, TICK_MS } from './sync';

const HICCUP_MS = 250; // shorter interruptions are not told as buffering
// Safari stutters at speeds near 1.
const SAFARI = /^(?!.*(chrom|android)).*safari/i.test(globalThis.navigator?.userAgent);
const COARSE_FROM = 1.06;
const ALL_TRACKS: Wants = { video: true, audio: true };
const BLOCKED_MS = 200; // a timer this late: the page was busy, and saw nothing meanwhile

export type EngineState =
  | 'idle'
  | 'connecting'
  | 'waiting'
  | 'buffering'
  | 'playing'
  | 'reconnecting'
  | 'ended'
  | 'failed';

export type { Wants };
export type EngineErrorCode = CoreErrorCode;
export type EngineError = CoreError;

export interface EngineOptions {
  video: HTMLVideoElement;
  /** `wss://HOST/live/{playback_id}` */
  url: string;
  token?: string | undefined;
  getToken?: GetToken;
  /** Buffer to hold, instead of the server's `target_ms`. */
  targetMs?: number | undefined;
  /** Leaves one of them out, which is not sent then either. */
  tracks?: Wants | undefined;
  /** False: everything on the main thread, as in browsers without `MediaSource` in workers. */
  worker?: boolean;
  /** Neither seen nor heard for this long, it pauses; for six times as long, it gives its connection up. */
  unseenMs?: number | undefined;
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

export interface Stats extends Report {
  fps: number;
  width: number;
  height: number;
  rate: number;
  framesShown: number;
  /** Decoded too late to be shown, by the browser's count. */
  framesDropped: number;
  firstFrameMs: number | undefined;
  inWorker: boolean;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #video: HTMLVideoElement;
  readonly #events = new Emitter<EngineEvents>();
  #state: EngineState = 'idle';
  #phase: 'idle' | 'failed' | Phase = 'idle';
  #stream: StreamState | undefined;
  #toldStream: StreamState | undefined;
  #core: CoreHost | undefined;
  #report: Report | undefined;
  #source = 0;
  #frames: FrameWatch | undefined;
  #attention: Attention | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #listening: AbortController | undefined;
  #startedAtMs = 0;
  #firstFrameMs: number | undefined;
  #turnAtMs = 0;
  #awakeAtMs = 0;
  #progressedAtMs = -Infinity;
  #paused = false;

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
      this.#fail({
        code: 'no_media_source',
        fatal: true,
        message: 'this browser has no MediaSource',
      });
      return;
    }
    this.#startedAtMs = epochMs();
    this.#turnAtMs = this.#startedAtMs;
    this.#firstFrameMs = undefined;
    this.#progressedAtMs = -Infinity;
    this.#frames = new FrameWatch(this.#video);
    this.#listen();
    this.#timer = setInterval(() => this.#handleTurn(), TICK_MS);
    this.#attention = new Attention(this.#video, this.#options.unseenMs, (level) =>
      this.#handleAttention(level),
    );
    this.#open();
  }

  stop(): void {
    this.#close();
    this.#detach();
    this.#phase = 'idle';
    this.#stream = undefined;
    this.#update();
  }

  /** Replaces the token, in band where there is a connection; starts again where it was the reason to stop. */
  setToken(token: string): void {
    this.#options.token = token;
    if (this.#phase === 'failed') this.start();
    else this.#core?.send({ type: 'token', token });
  }

  /** The buffer to hold; undefined: what the server says. */
  setTarget(targetMs: number | undefined): void {
    this.#options.targetMs = targetMs;
    this.#core?.send({ type: 'target', targetMs });
  }

  setTracks(tracks: Wants): void {
    this.#options.tracks = tracks;
    this.#core?.send({ type: 'wants', wants: tracks });
  }

  seekToLive(): void {
    this.#core?.send({ type: 'live' });
  }

  /** Undefined before the first start. */
  get stats(): Stats | undefined {
    const video = this.#video;
    const report = this.#report;
    return (
      report && {
        ...report,
        fps: this.#frames?.fps(epochMs()) ?? 0,
        width: video.videoWidth,
        height: video.videoHeight,
        rate: video.playbackRate,
        framesShown: this.#frames?.shown ?? 0,
        framesDropped: video.getVideoPlaybackQuality().droppedVideoFrames,
        firstFrameMs: this.#firstFrameMs,
        inWorker: this.#core?.inWorker ?? false,
      }
    );
  }

  #open(): void {
    const { url, token, targetMs, tracks: wants = ALL_TRACKS, worker } = this.#options;
    const core = startCore(worker !== false, (event) => {
      if (this.#core === core) this.#handleEvent(event);
    });
    this.#core = core;
    core.send({ type: 'start', options: { url, token, targetMs, wants } });
    if (this.#paused) core.send({ type: 'pause' });
  }

  #handleEvent(event: CoreEvent): void {
    switch (event.type) {
      case 'attach':
        this.#attach(event.source, event.attachment);
        break;
      case 'seek':
        this.#seek(event.to, event.reason);
        break;
      case 'rate':
        this.#video.playbackRate =
          SAFARI && event.rate !== 1 ? (event.rate > COARSE_FROM ? 1.25 : 1) : event.rate;
        return;
      case 'report':
        this.#report = event.report;
        this.#update();
        break;
      case 'phase':
        this.#phase = event.phase;
        this.#stream = event.stream;
        this.#update();
        break;
      case 'error':
        if (event.error.fatal) this.#fail(event.error);
        else this.#events.emit('error', event.error);
        break;
      case 'get_token':
        void this.#getToken();
        break;
      case 'stopped':
        return;
      default:
        this.#events.emit(event.type, event);
    }
  }

  #attach(source: number, attachment: Attachment): void {
    const video = this.#video;
    this.#source = source;
    if (!globalThis.MediaSource) video.disableRemotePlayback = true; // Apple's asks for it
    if (typeof attachment === 'object') video.srcObject = attachment as unknown as MediaProvider;
    else video.src = attachment;
  }

  /** Lets the browser free what the source held. */
  #detach(): void {
    const video = this.#video;
    if (this.#source === 0) return;
    this.#source = 0;
    video.srcObject = null;
    video.removeAttribute('src');
    video.load();
  }

  #seek(to: number, reason: string): void {
    this.#video.currentTime = to;
    this.#video.playbackRate = 1;
    this.#events.emit('seek', { reason });
    if (reason === 'join' && !this.#paused) void this.#play();
  }

  /** Starts or goes on playing, muted if the browser wants it so. */
  async #play(): Promise<void> {
    const video = this.#video;
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || video.muted) return;
      video.muted = true;
      this.#events.emit('muted', undefined);
      await video.play().catch(() => undefined);
    }
  }

  async #getToken(): Promise<void> {
    const core = this.#core;
    let token: string | undefined;
    try {
      token = await this.#options.getToken?.();
    } catch {
      // as if there were none
    }
    if (token) this.#options.token = token;
    core?.send({ type: 'token', token });
  }

  #listen(): void {
    const video = this.#video;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    video.addEventListener('pause', () => this.#handlePause(), { signal });
    video.addEventListener('play', () => this.#handlePlay(), { signal });
    video.addEventListener('error', () => this.#handleMediaError(), { signal });
    // The server hears the last figures, in Firefox before it cuts the sockets of a page that is left for another;
    // a page that comes back from the browser's cache begins anew.
    addEventListener('beforeunload', () => this.#core?.send({ type: 'stats' }), { signal });
    addEventListener('pagehide', () => this.#endCore(), { signal });
    addEventListener('pageshow', () => this.#handleAttention('here'), { signal });
  }

  #handlePause(): void {
    if (this.#paused || this.#phase !== 'open' || this.#video.error) return; // browsers pause after an error
    this.#paused = true;
    this.#core?.send({ type: 'pause' });
  }

  #handlePlay(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#core?.send({ type: 'resume' });
  }

  #handleMediaError(): void {
    const { error } = this.#video;
    this.#core?.send({ type: 'media_error', detail: `media error ${error?.code}: ${error?.message}` });
  }

  /** Nobody looks: first nothing is sent any more, then the connection is given up. */
  #handleAttention(level: 'here' | 'away' | 'gone'): void {
    if (level === 'gone') {
      this.#endCore();
      return;
    }
    if (level === 'here' && !this.#core && this.#phase !== 'failed') this.#open();
    if (!this.#paused) this.#core?.send({ type: level === 'away' ? 'pause' : 'resume' });
  }

  #handleTurn(): void {
    const video = this.#video;
    const nowMs = epochMs();
    if (nowMs - this.#turnAtMs > BLOCKED_MS) this.#awakeAtMs = nowMs;
    this.#turnAtMs = nowMs;
    const frames = this.#frames;
    const framesShown = frames?.shown ?? 0;
    if (framesShown > 0) this.#firstFrameMs ??= nowMs - this.#startedAtMs;
    const frameAtMs = frames?.frameAtMs;
    this.#core?.send({
      type: 'view',
      view: {
        nowMs,
        source: this.#source,
        currentTime: video.currentTime,
        ranges: ranges(video.buffered),
        rate: video.playbackRate,
        paused: video.paused,
        readyState: video.readyState,
        frameAtMs: frameAtMs && Math.max(frameAtMs, this.#awakeAtMs),
        newFrames: frames?.take() ?? [],
        framesShown,
        framesDropped: video.getVideoPlaybackQuality().droppedVideoFrames,
        firstFrameMs: this.#firstFrameMs,
      },
    });
  }

  #fail(error: EngineError): void {
    this.#close();
    this.#phase = 'failed';
    this.#update();
    this.#events.emit('error', error);
  }

  #close(): void {
    clearInterval(this.#timer);
    this.#listening?.abort();
    this.#frames?.close();
    this.#attention?.close();
    this.#endCore();
    this.#paused = false;
  }

  #endCore(): void {
    this.#core?.send({ type: 'stop' });
    this.#core = undefined;
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
    const nowMs = epochMs();
    if (this.#report?.progressing) this.#progressedAtMs = nowMs;
    if (nowMs - this.#progressedAtMs < HICCUP_MS) return 'playing';
    return this.#stream === 'waiting' || this.#stream === 'interrupted' ? 'waiting' : 'buffering';
  }
}

function ranges(list: TimeRanges): Range[] {
  return Array.from({ length: list.length }, (_, at) => ({ start: list.start(at), end: list.end(at) }));
}
