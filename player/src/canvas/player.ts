/** Plays one stream on a canvas, for the lowest delay and for pages that work on each frame. Same face as `Engine`. */

import { BoxError, parseChunk, parseInit, type TrackDefaults } from '../boxes';
import { epochMs } from '../clock';
import { Connection } from '../connection';
import { Emitter, type Listener } from '../emitter';
import type { EngineError, EngineEvents, EngineOptions, EngineState, Stats } from '../engine';
import type { ServerMessage, StreamState, Track } from '../protocol';
import { Timeline } from '../timeline';
import { Picture } from './picture';
import { Sound } from './sound';

const SOUND_TARGET_MS = 100;
const SOUND_STARTS_MS = 1500; // an audio device that takes longer is one that may not
const STATS_EVERY_MS = 10_000;
const FREEZE_MS = 500; // without a new frame: buffering
const FPS_WINDOW_MS = 2000;
const ERRORS_MAX = 3; // decoder errors in a minute; more, and the other renderer takes over
const ERRORS_FORGET_MS = 60_000;
const LATENCY_SAMPLES = 15;

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
  #startedAtMs = 0;
  #firstFrameMs: number | undefined;
  #shownAtMs: number[] = [];
  #shown = 0;
  #currentTime = 0;
  #latencies: number[] = [];
  #errorsAtMs: number[] = [];
  #gaps = 0;
  #framesLost = 0;
  #statsSentMs = 0;
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
    const { url, token, getToken } = this.#options;
    this.#startedAtMs = epochMs();
    this.#statsSentMs = this.#startedAtMs;
    this.#picture = new Picture({
      onDraw: (frame) => this.#draw(frame),
      onError: (detail) => this.#handleDecoderError(detail),
    });
    this.#connection = new Connection(
      { url, token, getToken },
      {
        onConnecting: () => this.#setPhase(this.#phase === 'idle' ? 'connecting' : this.#phase),
        onMessage: (message) => void this.#handleMessage(message),
        onChunk: (bytes) => this.#readMedia(() => this.#handleChunk(bytes)),
        onLost: ({ code, message }) => {
          this.#events.emit('error', { code, message, fatal: false });
          this.#setPhase('reconnecting');
        },
        onFailed: ({ code, message }) => this.#fail({ code, message, fatal: true }),
        onTokenNeeded: (expiresInS) => this.#events.emit('tokenneeded', { expiresInS }),
      },
    );
    for (const [name, listener] of this.#listeners) this.#video.addEventListener(name, listener);
    this.#turn = requestAnimationFrame(this.#handleTurn);
    this.#timer = setInterval(() => this.#handleTimer(), 100);
    this.#connection.open();
    void this.#play();
  }

  stop(): void {
    this.#sendStats();
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

  /** There is nothing to draw without a picture. */
  setAudioOnly(audioOnly: boolean): void {
    if (audioOnly) this.#options.onUnable?.();
  }

  seekToLive(): void {
    this.#sound?.flush();
  }

  get stats(): Stats {
    const nowMs = epochMs();
    return {
      progressing: this.#state === 'playing',
      latencyMs: this.#latencyMs,
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
      fps: (this.#shownAtMs.length * 1000) / FPS_WINDOW_MS,
      width: this.canvas.width,
      height: this.canvas.height,
      rate: 1,
      framesShown: this.#shown,
      framesDropped: this.#picture?.dropped ?? 0,
      firstFrameMs: this.#firstFrameMs,
      inWorker: false,
    };
  }

  get #latencyMs(): number | undefined {
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }

  get #isHeard(): boolean {
    return (
      this.#sound?.isRunning === true &&
      !this.#video.muted &&
      this.#tracks.some(({ kind }) => kind === 'audio')
    );
  }

  async #handleMessage(message: ServerMessage): Promise<void> {
    switch (message.type) {
      case 'hello':
        this.#session = message.session;
        this.#node = message.node;
        this.#stream = message.state;
        this.#beginBurst();
        if (this.#paused) this.#connection?.send({ type: 'pause' });
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
    this.#timeline.handleInit();
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
    if (this.#paused) return;
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
    if (!this.#live || this.#paused) return;
    const heardS = this.#isHeard ? this.#sound?.mediaS : undefined;
    this.#picture?.show(heardS ?? Number.POSITIVE_INFINITY);
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
    this.#currentTime = timeS;
    this.#shown += 1;
    this.#shownAtMs.push(nowMs);
    if (this.#firstFrameMs === undefined) {
      this.#firstFrameMs = nowMs - this.#startedAtMs;
      this.#video.dispatchEvent(new Event('playing'));
    }
    if (wallUs === undefined || offsetUs === undefined) return;
    this.#latencies.push(nowMs + (offsetUs - wallUs) / 1000);
    if (this.#latencies.length > LATENCY_SAMPLES) this.#latencies.shift();
  }

  #handleTimer(): void {
    const nowMs = epochMs();
    this.#shownAtMs = this.#shownAtMs.filter((atMs) => atMs > nowMs - FPS_WINDOW_MS);
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

  readonly #listeners = [
    ['pause', () => this.#handlePause()],
    ['play', () => this.#handlePlay()],
    ['volumechange', () => this.#handleVolume()],
  ] as const;

  #handlePause(): void {
    if (this.#paused || this.#phase !== 'open') return;
    this.#paused = true;
    this.#connection?.send({ type: 'pause' });
    this.#sound?.flush();
  }

  #handlePlay(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#beginBurst();
    this.#live = true; // a server that does not know of pauses says nothing
    this.#connection?.send({ type: 'resume' });
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
    if (this.#phase !== 'open') return;
    this.#statsSentMs = epochMs();
    const { latencyMs, stalls, framesDropped, firstFrameMs } = this.stats;
    const whole = (value: number | undefined) => (value === undefined ? null : Math.round(value));
    this.#connection?.send({
      type: 'stats',
      latency_ms: whole(latencyMs),
      buffer_ms: 0,
      stalls,
      stalled_ms: 0,
      played_ms: Math.round(this.#statsSentMs - this.#startedAtMs),
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
    for (const [name, listener] of this.#listeners) this.#video.removeEventListener(name, listener);
    this.#connection?.close();
    this.#picture?.close();
    this.#sound?.close();
    this.#connection = undefined;
    this.#sound = undefined;
    this.#paused = false;
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
    const newestMs = this.#shownAtMs.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (epochMs() - newestMs < FREEZE_MS || this.#paused) return 'playing';
    return this.#stream === 'waiting' || this.#stream === 'interrupted' ? 'waiting' : 'buffering';
  }
}
