/** Plays one stream on a canvas, for the lowest delay and for pages that work on each frame. Same face as `Engine`. */

import { Attention, type AttentionLevel } from '../attention';
import { BoxError, parseChunk, parseInit, type TrackDefaults } from '../boxes';
import { epochMs } from '../clock';
import { Connection } from '../connection';
import { Emitter, type Listener } from '../emitter';
import type { EngineError, EngineEvents, EngineOptions, EngineState, Stats, Wants } from '../engine';
import type { ServerMessage, StreamState, Track } from '../protocol';
import { Timeline } from '../timeline';
import { Drawn } from './drawn';
import { Picture } from './picture';
import { Sound } from './sound';

const SOUND_TARGET_MS = 100;
const SOUND_STARTS_MS = 1500; // an audio device that takes longer is one that may not
const STATS_EVERY_MS = 10_000;
const STATS_APART_MS = 500;
const ERRORS_MAX = 3; // decoder errors in a minute; more, and the other renderer takes over
const ERRORS_FORGET_MS = 60_000;

export interface CanvasPlayerOptions extends EngineOptions {
  canvas: HTMLCanvasElement;
  /** Called with each frame before it is drawn. The frame is closed after the return; `clone()` keeps it. */
  onFrame?: (frame: VideoFrame, info: FrameInfo) => void;
  /** It can't go on; another renderer may. */
  onUnable?: () => void;
}

export interface FrameInfo {
  /** Media time. */
  timeS: number;
  /** When it came in at the server, Unix microseconds by the server's clock. */
  wallUs: number | undefined;
}

export class CanvasPlayer {
  readonly canvas: HTMLCanvasElement;
  readonly #options: CanvasPlayerOptions;
  readonly #video: HTMLVideoElement;
  readonly #events = new Emitter<EngineEvents>();
  readonly #context: CanvasRenderingContext2D | null;
  #connection: Connection | undefined;
  #picture: Picture | undefined;
  #sound: Sound | undefined;
  #timeline = new Timeline();
  #tracks: readonly Track[] = [];
  #defaults = new Map<number, TrackDefaults>();
  #state: EngineState = 'idle';
  #phase: EngineState | 'open' = 'idle';
  #stream: StreamState | undefined;
  #toldStream: StreamState | undefined;
  #session: string | undefined;
  #node: string | undefined;
  #live = false;
  #paused = false;
  /** Nobody looks: nothing is sent. */
  #away = false;
  #startedAtMs = 0;
  #drawn = new Drawn();
  #currentTime = 0;
  #errorsAtMs: number[] = [];
  #gaps = 0;
  #framesLost = 0;
  #statsSentMs = 0;
  #listening: AbortController | undefined;
  #attention: Attention | undefined;
  #turn: number | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: CanvasPlayerOptions) {
    this.#options = { ...options };
    this.#video = options.video;
    this.canvas = options.canvas;
    this.#context = options.canvas.getContext('2d', { desynchronized: true, alpha: false });
  }

  static isSupported(): boolean {
    return typeof VideoDecoder !== 'undefined' && typeof EncodedVideoChunk !== 'undefined';
  }

  get state(): EngineState {
    return this.#state;
  }

  get stream(): StreamState | undefined {
    return this.#stream;
  }

  /** Media time of the frame on the canvas. */
  get currentTime(): number {
    return this.#currentTime;
  }

  on<Name extends keyof EngineEvents>(name: Name, listener: Listener<EngineEvents[Name]>): () => void {
    return this.#events.on(name, listener);
  }

  start(): void {
    this.stop();
    this.#startedAtMs = epochMs();
    this.#drawn = new Drawn();
    this.#statsSentMs = this.#startedAtMs;
    this.#picture = new Picture({
      onDraw: (frame) => this.#draw(frame),
      onError: (detail) => this.#handleDecoderError(detail),
    });
    this.#listen();
    this.#turn = requestAnimationFrame(this.#handleTurn);
    this.#timer = setInterval(() => this.#handleTimer(), 100);
    this.#attention = new Attention(this.#video, this.#options.unseenMs, (level) =>
      this.#handleAttention(level),
    );
    this.#open();
    void this.#play();
  }

  #open(): void {
    const { url, token } = this.#options;
    this.#connection = new Connection(
      { url, token, getToken: () => this.#getToken() },
      {
        onConnecting: () => this.#setPhase(this.#phase === 'idle' ? 'connecting' : this.#phase),
        onMessage: (message) => this.#handleMessage(message),
        onChunk: (bytes) => this.#readMedia(() => this.#handleChunk(bytes)),
        onLost: ({ code, message }) => {
          this.#events.emit('error', { code, message, fatal: false });
          this.#setPhase('reconnecting');
        },
        onFailed: ({ code, message }) => this.#fail({ code, message, fatal: true }),
        onTokenNeeded: (expiresInS) => this.#events.emit('tokenneeded', { expiresInS }),
      },
    );
    this.#connection.open();
  }

  async #getToken(): Promise<string | undefined> {
    try {
      return await this.#options.getToken?.();
    } catch {
      return undefined;
    }
  }

  stop(): void {
    this.#close();
    this.#stream = undefined;
    this.#setPhase('idle');
  }

  setToken(token: string): void {
    this.#options.token = token;
    if (this.#phase === 'failed') this.start();
    else this.#connection?.setToken(token);
  }

  setTarget(targetMs: number | undefined): void {
    if (this.#sound) this.#sound.targetS = (targetMs ?? SOUND_TARGET_MS) / 1000;
  }

  setTracks(tracks: Wants): void {
    this.#options.tracks = tracks;
    this.#requestTracks();
  }

  #requestTracks(): void {
    const { video, audio } = this.#wants;
    this.#connection?.requestTracks(video, audio);
    if (!video) this.#options.onUnable?.(); // there is nothing to draw
  }

  get #wants(): Wants {
    return this.#options.tracks ?? { video: true, audio: true };
  }

  seekToLive(): void {
    this.#sound?.flush();
  }

  get stats(): Stats {
    const nowMs = epochMs();
    return {
      progressing: this.#state === 'playing',
      latencyMs: this.#drawn.latencyMs,
      bufferMs: 0,
      targetMs: this.#isHeard ? (this.#sound?.targetS ?? 0) * 1000 : 0,
      jitterMs: 0,
      rttMs: this.#connection?.clock.rttMs,
      bitrateBps: this.#timeline.bitrateBps(nowMs),
      framesLost: this.#framesLost,
      gaps: this.#gaps,
      stalls: this.#sound?.stalls ?? 0,
      seeks: 0,
      rebuilds: this.#errorsAtMs.length,
      sockets: this.#connection?.sockets ?? 0,
      session: this.#session,
      node: this.#node,
      fps: this.#drawn.fps(nowMs),
      width: this.canvas.width,
      height: this.canvas.height,
      rate: 1,
      framesShown: this.#drawn.frames,
      framesDropped: this.#picture?.dropped ?? 0,
      firstFrameMs: this.#firstFrameMs,
      inWorker: false,
    };
  }

  get #firstFrameMs(): number | undefined {
    const { firstAtMs } = this.#drawn;
    return firstAtMs && firstAtMs - this.#startedAtMs;
  }

  get #isHeard(): boolean {
    return (
      this.#sound?.isRunning === true &&
      !this.#video.muted &&
      this.#wants.audio &&
      this.#tracks.some(({ kind }) => kind === 'audio')
    );
  }

  #handleMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#session = message.session;
        this.#node = message.node;
        this.#stream = message.state;
        this.#beginBurst();
        this.#requestTracks();
        if (this.#isQuiet) this.#connection?.send({ type: 'pause' });
        this.#setPhase('open');
        break;
      case 'init':
        this.#readMedia(() => this.#handleInit(message.tracks));
        break;
      case 'live':
        this.#live = true;
        return;
      case 'gap':
        this.#gaps += 1;
        this.#framesLost += message.frames;
        this.#events.emit('gap', message);
        break;
      case 'state':
        this.#stream = message.state;
        this.#update();
        break;
      default:
    }
  }

  #handleInit(tracks: readonly Track[]): void {
    this.#tracks = tracks;
    this.#timeline.handleRepeat();
    this.#defaults = new Map(
      tracks.flatMap((track) => parseInit(track.init).map((trex) => [trex.trackId, trex] as const)),
    );
    const video = tracks.find(({ kind }) => kind === 'video');
    const audio = tracks.find(({ kind }) => kind === 'audio');
    if (!video) {
      this.#options.onUnable?.();
      return;
    }
    this.#picture?.configure(video);
    if (audio) {
      this.#sound ??= new Sound((this.#options.targetMs ?? SOUND_TARGET_MS) / 1000, (detail) =>
        this.#handleDecoderError(detail),
      );
      this.#sound.configure(audio);
      this.#handleVolume();
    }
    void this.#checkSupport(video, audio);
    this.#events.emit('tracks', { tracks, unsupported: [] });
  }

  async #checkSupport(video: Track, audio: Track | undefined): Promise<void> {
    const able = (await Picture.canPlay(video)) && (!audio || (await Sound.canPlay(audio)));
    if (!able && this.#phase === 'open') this.#options.onUnable?.();
  }

  #handleChunk(bytes: Uint8Array): void {
    this.#timeline.handleBytes(epochMs(), bytes.byteLength);
    if (this.#isQuiet) return;
    const chunk = parseChunk(bytes, this.#defaults);
    const track = this.#tracks.find(({ id }) => id === chunk.trackId);
    if (track?.kind === 'video') {
      this.#timeline.handleChunk(chunk, track.timescale);
      this.#picture?.handleChunk(bytes, chunk, track.timescale);
    } else if (track && this.#isHeard && this.#live) {
      this.#sound?.handleChunk(bytes, chunk, track.timescale);
    }
  }

  #readMedia(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BoxError || error instanceof DOMException)) throw error;
      this.#events.emit('error', { code: 'malformed', fatal: false, message: error.message });
    }
  }

  #beginBurst(): void {
    this.#live = false;
    this.#picture?.reset();
    this.#sound?.flush();
  }

  /** What is drawn now: all that came, or as far as the sound is. */
  readonly #handleTurn = (): void => {
    this.#turn = requestAnimationFrame(this.#handleTurn);
    if (!this.#live || this.#isQuiet) return;
    const heardS = this.#isHeard ? this.#sound?.mediaS : undefined;
    this.#picture?.show(heardS ?? Infinity);
  };

  #draw(frame: VideoFrame): void {
    const timeS = frame.timestamp / 1e6;
    const wallUs = this.#timeline.wallUsAt(timeS);
    this.#options.onFrame?.(frame, { timeS, wallUs });
    const { canvas } = this;
    if (canvas.width !== frame.displayWidth) canvas.width = frame.displayWidth;
    if (canvas.height !== frame.displayHeight) canvas.height = frame.displayHeight;
    this.#context?.drawImage(frame, 0, 0);
    this.#handleShown(timeS, wallUs);
  }

  #handleShown(timeS: number, wallUs: number | undefined): void {
    const nowMs = epochMs();
    const offsetUs = this.#connection?.clock.offsetUs;
    const isKnown = wallUs !== undefined && offsetUs !== undefined;
    this.#currentTime = timeS;
    this.#drawn.handleFrame(nowMs, isKnown ? nowMs + (offsetUs - wallUs) / 1000 : undefined);
    if (this.#drawn.frames === 1) this.#video.dispatchEvent(new Event('playing'));
  }

  #handleTimer(): void {
    const nowMs = epochMs();
    this.#drawn.handleTurn(nowMs, this.#phase === 'open' && this.#stream === 'live' && !this.#isQuiet);
    if (nowMs - this.#statsSentMs >= STATS_EVERY_MS) this.#sendStats();
    this.#update();
    this.#video.dispatchEvent(new Event('timeupdate'));
  }

  #handleDecoderError(detail: string): void {
    const nowMs = epochMs();
    this.#errorsAtMs = [...this.#errorsAtMs.filter((atMs) => atMs > nowMs - ERRORS_FORGET_MS), nowMs];
    if (this.#errorsAtMs.length > ERRORS_MAX) {
      if (this.#options.onUnable) this.#options.onUnable();
      else this.#fail({ code: 'decode', fatal: true, message: detail });
      return;
    }
    const audio = this.#tracks.find(({ kind }) => kind === 'audio');
    if (audio && detail.startsWith('sound')) this.#sound?.configure(audio);
  }

  async #play(): Promise<void> {
    const video = this.#video;
    // The promise of an element without a source never ends where it is allowed to play.
    video.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#mute();
    });
    if (!video.muted) await this.#sound?.resume();
  }

  #mute(): void {
    if (this.#video.muted) return;
    this.#video.muted = true;
    this.#events.emit('muted', undefined);
    void this.#video.play().catch(() => undefined);
  }

  #listen(): void {
    const video = this.#video;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    video.addEventListener('pause', () => this.#phase === 'open' && this.#setQuiet(true, this.#away), {
      signal,
    });
    video.addEventListener('play', () => this.#setQuiet(false, this.#away), { signal });
    video.addEventListener('volumechange', () => this.#handleVolume(), { signal });
    addEventListener('beforeunload', () => this.#sendStats(), { signal });
    addEventListener('pagehide', () => this.#endConnection(), { signal });
    addEventListener('pageshow', () => this.#handleAttention('here'), { signal });
  }

  #handleAttention(level: AttentionLevel): void {
    if (level === 'gone') this.#endConnection();
    else if (level === 'here' && !this.#connection) this.#open();
    this.#setQuiet(this.#paused, level !== 'here');
  }

  /** Nothing shall come: the person paused, or is away. */
  get #isQuiet(): boolean {
    return this.#paused || this.#away;
  }

  #setQuiet(paused: boolean, away: boolean): void {
    const before = this.#isQuiet;
    this.#paused = paused;
    this.#away = away;
    if (this.#isQuiet === before) return;
    this.#connection?.send({ type: before ? 'resume' : 'pause' });
    this.#timeline.handleRepeat();
    this.#beginBurst();
    this.#live = before; // what comes after `resume` is shown at once
  }

  #handleVolume(): void {
    const sound = this.#sound;
    if (!sound) return;
    const { muted, volume } = this.#video;
    sound.volume = muted ? 0 : volume;
    sound.flush();
    if (muted || sound.isRunning) return;
    void sound.resume();
    setTimeout(() => sound === this.#sound && !sound.isRunning && this.#mute(), SOUND_STARTS_MS);
  }

  #sendStats(): void {
    const nowMs = epochMs();
    if (this.#phase !== 'open' || nowMs - this.#statsSentMs < STATS_APART_MS) return;
    this.#statsSentMs = nowMs;
    const { latencyMs, stalls, framesDropped, firstFrameMs } = this.stats;
    const whole = (value: number | undefined) => (value === undefined ? null : Math.round(value));
    this.#connection?.send({
      type: 'stats',
      latency_ms: whole(latencyMs),
      buffer_ms: 0,
      stalls,
      stalled_ms: Math.round(this.#drawn.stalledMs),
      played_ms: Math.round(this.#drawn.playedMs),
      dropped_frames: framesDropped,
      rate: 1,
      first_frame_ms: whole(firstFrameMs),
    });
  }

  #fail(error: EngineError): void {
    this.#close();
    this.#setPhase('failed');
    this.#events.emit('error', error);
  }

  #close(): void {
    if (this.#turn !== undefined) cancelAnimationFrame(this.#turn);
    clearInterval(this.#timer);
    this.#listening?.abort();
    this.#attention?.close();
    this.#endConnection();
    this.#picture?.close();
    this.#sound?.close();
    this.#sound = undefined;
    this.#paused = false;
    this.#away = false;
  }

  #endConnection(): void {
    this.#sendStats();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #setPhase(phase: EngineState | 'open'): void {
    this.#phase = phase;
    this.#update();
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
    if (this.#isQuiet || this.#drawn.goesOn(epochMs())) return 'playing';
    return this.#stream === 'waiting' || this.#stream === 'interrupted' ? 'waiting' : 'buffering';
  }
}
