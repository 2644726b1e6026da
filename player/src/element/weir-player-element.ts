/** `<weir-player>`: every member of `HTMLVideoElement`, and a live stream as its source. */

import { CustomVideoElement } from 'custom-media-element';
import type { CanvasPlayer } from '../canvas';
import type { GetToken } from '../connection';
import {
  Engine,
  type EngineError,
  type EngineEvents,
  type EngineState,
  type Stats,
  type Wants,
} from '../engine';
import type { StreamState } from '../protocol';
import { adopt } from '../ui/adopt';
import { parseSource, type Source } from './source';

const LIVE_EDGE_S = 1.5; // this near to the newest frame counts as live, beyond the buffer to hold

const TEMPLATE = `
<style>
  :host { display: inline-block; position: relative; line-height: 0; background: #000; }
  :host([hidden]) { display: none; }
  video, canvas { width: 100%; height: 100%; object-fit: var(--media-object-fit, contain); display: block; }
  .media { position: relative; width: 100%; height: 100%; }
  canvas { position: absolute; inset: 0; }
</style>
<div class="media"><video part="video" playsinline></video></div>
<slot></slot>`;

/** Attributes that are ours and would mean something else to the inner <video>. */
const OWN = [
  'src',
  'autoplay',
  'controls',
  'token',
  'latency-target',
  'audio-only',
  'video-only',
  'unseen-timeout',
  'renderer',
] as const;

export interface WeirPlayerEventMap {
  statechange: CustomEvent<{ state: EngineState; stream: StreamState | undefined }>;
  error: CustomEvent<EngineError>;
  tokenneeded: CustomEvent<{ expiresInS: number }>;
  autoplaymuted: CustomEvent<undefined>;
  tracks: CustomEvent<EngineEvents['tracks']>;
  gap: CustomEvent<EngineEvents['gap']>;
}

export type Player = Engine | CanvasPlayer;

type Options = boolean | AddEventListenerOptions;

export interface WeirPlayerElement {
  addEventListener<Name extends keyof WeirPlayerEventMap>(
    type: Name,
    listener: (event: WeirPlayerEventMap[Name]) => void,
    options?: Options,
  ): void;
  addEventListener<Name extends Exclude<keyof HTMLElementEventMap, keyof WeirPlayerEventMap>>(
    type: Name,
    listener: (event: HTMLElementEventMap[Name]) => void,
    options?: Options,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: Options): void;
}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: overloads of an inherited method have no other place
export class WeirPlayerElement extends CustomVideoElement {
  static override get observedAttributes(): string[] {
    return [...CustomVideoElement.observedAttributes, ...OWN];
  }

  /** Called when a token is needed or runs out. */
  getToken: GetToken | undefined;
  /** With `renderer="canvas"`: called with each frame before it is drawn; see the README. */
  onframe: ((frame: VideoFrame, info: { timeS: number; wallUs: number | undefined }) => void) | undefined;
  #player: Player | undefined;
  #scheduled = false;
  #wanted = false;
  #lastError: EngineError | undefined;
  #visit = 0;

  override init(): void {
    if (!this.shadowRoot) this.render(this.attachShadow({ mode: 'open' }));
    super.init();
  }

  /** Fills the shadow root, which must hold one <video> and a <slot>. */
  protected render(root: ShadowRoot): void {
    adopt(root, TEMPLATE);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasAttribute('autoplay')) this.#wanted = true;
    this.#schedule();
  }

  override disconnectedCallback(): void {
    this.#stop();
    super.disconnectedCallback();
  }

  override attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (!(OWN as readonly string[]).includes(name)) super.attributeChangedCallback(name, before, after);
    else if (before !== after) this.#handleOwn(name, after);
  }

  #handleOwn(name: string, after: string | null): void {
    switch (name) {
      case 'token':
        if (this.#player && after) this.#player.setToken(after);
        else this.#schedule();
        break;
      case 'latency-target':
        this.#player?.setTarget(this.latencyTarget);
        break;
      case 'audio-only':
      case 'video-only':
        this.#player?.setTracks(this.#tracks);
        break;
      case 'controls':
        this.controlsChanged(after !== null);
        break;
      case 'autoplay':
        if (after !== null) this.#wanted = true;
        this.#schedule();
        break;
      default:
        this.#stop();
        this.#schedule();
    }
  }

  /** The inner element has the browser's own controls, until a subclass has better ones. */
  protected controlsChanged(shown: boolean): void {
    if (this.nativeEl) this.nativeEl.controls = shown;
  }

  override handleEvent(event: Event): void {
    // A broken source is mended by the engine; when it can't be, it says so itself.
    if (event.type !== 'error' && event.type !== 'emptied') super.handleEvent(event);
  }

  override play(): Promise<void> {
    this.#wanted = true;
    if (this.#player) return this.nativeEl.play();
    this.#start();
    return new Promise((resolve) => this.addEventListener('playing', () => resolve(), { once: true }));
  }

  /** The engine below, from the time that playing was asked for. */
  get player(): Player | undefined {
    return this.#player;
  }

  get state(): EngineState {
    return this.#player?.state ?? 'idle';
  }

  /** The publisher's state, as far as it is known. */
  get stream(): StreamState | undefined {
    return this.#player?.stream;
  }

  get stats(): Stats | undefined {
    return this.#player?.stats;
  }

  /** Why it plays no more, or not all of it. */
  get lastError(): EngineError | undefined {
    return this.#lastError;
  }

  get token(): string | null {
    return this.getAttribute('token');
  }

  set token(token: string | null) {
    if (token === null) this.removeAttribute('token');
    else this.setAttribute('token', token);
  }

  /** The token in use: the attribute's or that of `src`. */
  protected get shownToken(): string | undefined {
    return this.token ?? parseSource(this.getAttribute('src') ?? '', document.baseURI)?.token;
  }

  /** The buffer to hold, ms; undefined: what the server says. */
  get latencyTarget(): number | undefined {
    return this.#milliseconds('latency-target');
  }

  set latencyTarget(ms: number | undefined) {
    if (ms === undefined) this.removeAttribute('latency-target');
    else this.setAttribute('latency-target', `${ms}`);
  }

  #milliseconds(attribute: string): number | undefined {
    const value = Number(this.getAttribute(attribute) || Number.NaN);
    return value > 0 ? value : undefined;
  }

  /** To the newest frame. */
  seekToLive(): void {
    this.#player?.seekToLive();
  }

  /** Begins anew after a fatal error. */
  retry(): void {
    this.#stop();
    this.#wanted = true;
    this.#start();
  }

  // The live contract of media-chrome.

  get streamType(): string {
    return 'live';
  }

  /** No window to go back into. */
  get targetLiveWindow(): number {
    return 0;
  }

  get liveEdgeStart(): number {
    const { end } = this.#window();
    return end === undefined ? Number.NaN : end - (this.stats?.targetMs ?? 0) / 1000 - LIVE_EDGE_S;
  }

  override get seekable(): TimeRanges {
    const { start, end } = this.#window();
    const at = (value: number | undefined) => {
      if (value === undefined) throw new DOMException('no range', 'IndexSizeError');
      return value;
    };
    return { length: end === undefined ? 0 : 1, start: () => at(start), end: () => at(end) };
  }

  override get duration(): number {
    return this.#player ? Number.POSITIVE_INFINITY : Number.NaN;
  }

  override get currentTime(): number {
    return this.#canvas?.currentTime ?? this.nativeEl?.currentTime ?? 0;
  }

  override set currentTime(time: number) {
    const { end } = this.#window();
    if (end !== undefined && time >= end - LIVE_EDGE_S) this.seekToLive();
    else if (this.nativeEl && !this.#canvas) this.nativeEl.currentTime = time;
  }

  override get readyState(): number {
    if (!this.#canvas) return this.nativeEl?.readyState ?? 0;
    return this.#canvas.state === 'playing' ? 4 : 0;
  }

  override get videoWidth(): number {
    return this.#canvas?.stats.width ?? this.nativeEl?.videoWidth ?? 0;
  }

  override get videoHeight(): number {
    return this.#canvas?.stats.height ?? this.nativeEl?.videoHeight ?? 0;
  }

  get #canvas(): CanvasPlayer | undefined {
    return this.#player && 'canvas' in this.#player ? this.#player : undefined;
  }

  #window(): { start?: number; end?: number } {
    const canvas = this.#canvas;
    if (canvas) return { start: canvas.currentTime, end: canvas.currentTime };
    const buffered = this.nativeEl?.buffered;
    if (!buffered?.length) return {};
    return { start: buffered.start(0), end: buffered.end(buffered.length - 1) };
  }

  #schedule(): void {
    if (this.#scheduled || this.#player) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#wanted) this.#start();
    });
  }

  #start(): void {
    const src = this.getAttribute('src');
    if (!this.isConnected || this.#player || !src) return;
    const source = parseSource(src, document.baseURI);
    if (!source) {
      const message = `src "${src.split('#')[0]}" is no address of a stream: wss://HOST/live/ID is wanted`;
      this.#handleError({ code: 'not_found', fatal: true, message });
      return;
    }
    this.#visit += 1;
    if (this.getAttribute('renderer') === 'canvas') void this.#startCanvas(source, this.#visit);
    else this.#startEngine(source);
  }

  #options({ url }: Source) {
    const getToken = () => this.getToken?.() ?? Promise.reject(new Error('no getToken'));
    return {
      video: this.nativeEl,
      url,
      token: this.shownToken,
      getToken,
      tracks: this.#tracks,
      targetMs: this.latencyTarget,
      unseenMs: this.#milliseconds('unseen-timeout'),
    };
  }

  get #tracks(): Wants {
    return { video: !this.hasAttribute('audio-only'), audio: !this.hasAttribute('video-only') };
  }

  #startEngine(source: Source): void {
    this.#begin(new Engine(this.#options(source)));
  }

  /** The renderer is fetched when it is wanted, and gives way to the usual one where it can't work. */
  async #startCanvas(source: Source, visit: number): Promise<void> {
    const { CanvasPlayer } = await import('../canvas').catch(() => ({ CanvasPlayer: undefined }));
    if (visit !== this.#visit || this.#player || !this.isConnected) return;
    if (!CanvasPlayer?.isSupported()) {
      this.#startEngine(source);
      return;
    }
    const canvas = document.createElement('canvas');
    this.nativeEl.after(canvas);
    const player = new CanvasPlayer({
      ...this.#options(source),
      canvas,
      onFrame: (frame, info) => this.onframe?.(frame, info),
      onUnable: () => {
        if (this.#player !== player) return;
        this.#stop();
        this.#startEngine(source);
      },
    });
    this.#begin(player);
  }

  #begin(player: Player): void {
    this.#player = player;
    this.#lastError = undefined;
    player.on('state', (detail) => {
      if (detail.state === 'playing' && this.#lastError?.code !== 'codec') this.#lastError = undefined;
      this.#dispatch('statechange', detail);
    });
    player.on('error', (error) => this.#handleError(error));
    player.on('tracks', (detail) => {
      if (detail.unsupported.length === 0 && this.#lastError?.code === 'codec') this.#lastError = undefined;
      this.#dispatch('tracks', detail);
      for (const name of ['streamtypechange', 'targetlivewindowchange', 'durationchange'])
        this.#dispatch(name, undefined);
    });
    player.on('gap', (detail) => this.#dispatch('gap', detail));
    player.on('muted', () => this.#dispatch('autoplaymuted', undefined));
    player.on('tokenneeded', (detail) => this.#dispatch('tokenneeded', detail));
    player.start();
  }

  #handleError(error: EngineError): void {
    this.#lastError = error;
    this.#dispatch('error', error);
  }

  #stop(): void {
    const player = this.#player;
    this.#visit += 1;
    this.#player = undefined;
    player?.stop();
    if (player && 'canvas' in player) player.canvas.remove();
  }

  #dispatch(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
