/** From chunks to the picture: the MediaSource, the sync rules, what was shown and how late. */

import { parseChunk, parseInit, type TrackDefaults } from './boxes';
import { Deficit } from './deficit';
import { FrameWatch } from './frames';
import { type Bytes, canPlay, MediaSink } from './mse';
import type { Track, TrackKind } from './protocol';
import { Replay } from './replay';
import { liveTime, type Range, type SeekReason, SYNC_START, type SyncMemory, syncStep } from './sync';
import { Target } from './target';
import { Timeline } from './timeline';

const BURST_MS = 400; // from the first chunk to `live`, for a server that does not say so
const BACK_BUFFER_S = 8; // trimmed each second; 10 s is the limit
const KEEP_BEHIND_S = 1;
const TRIM_EVERY_MS = 1000;
const STEP_BACK_S = 1; // a live edge this far before what came already is of another timeline
const REBUILD_EVERY_MS = 5000;
const REBUILD_TIMES = 3;
const REBUILD_FORGET_MS = 60_000;
const LATENCY_SAMPLES = 15;
const MAX_HOLES = 32;

export interface PlayoutEvents {
  /** The browser can't decode these tracks; the others go on. */
  onUnsupported(tracks: Track[]): void;
  onFailed(detail: string): void;
  /** Unmuted autoplay was refused, so it plays muted. */
  onMuted(): void;
  onSeek(reason: SeekReason): void;
}

export class Playout {
  stalls = 0;
  seeks = 0;
  gaps = 0;
  framesLost = 0;
  rebuilds = 0;
  /** The base of the buffer target, ms. */
  baseTargetMs = 150;
  readonly #video: HTMLVideoElement;
  readonly #events: PlayoutEvents;
  readonly #timeline = new Timeline();
  readonly #replay = new Replay();
  readonly #target = new Target();
  readonly #deficit = new Deficit();
  readonly #frames: FrameWatch;
  /** Wall clock of the server now, Unix microseconds. */
  readonly #serverNowUs: () => number | undefined;
  #sink: MediaSink | undefined;
  #tracks: Track[] = [];
  #defaults = new Map<number, TrackDefaults>();
  #sync: SyncMemory = SYNC_START;
  #stuck = false;
  #stalled = false;
  #holes: Range[] = [];
  #burstUntilMs: number | undefined;
  #live = false;
  #newestS = Number.NEGATIVE_INFINITY;
  #edgeBeforeS = Number.NEGATIVE_INFINITY;
  #paused = false;
  #latencies: number[] = [];
  #trimmedAtMs = 0;
  #rebuiltAtMs = Number.NEGATIVE_INFINITY;
  #rebuildAtMs: number | undefined;

  constructor(video: HTMLVideoElement, serverNowUs: () => number | undefined, events: PlayoutEvents) {
    this.#video = video;
    this.#serverNowUs = serverNowUs;
    this.#events = events;
    this.#frames = new FrameWatch(video, { onFrame: (timeS) => this.#handleFrame(timeS) });
  }

  /** A new connection: a burst from a keyframe comes, until `handleLive`. */
  handleBurst(): void {
    this.#edgeBeforeS = Math.max(this.#edgeBeforeS, this.#newestS);
    this.#newestS = Number.NEGATIVE_INFINITY;
    this.#replay.clear();
    this.#beginBurst();
  }

  handleLive(): void {
    this.#live = true;
  }

  /** The person paused: nothing is handed to the browser until `handleResume`. */
  handlePause(): void {
    this.#paused = true;
  }

  /** Joins anew at the live edge, with what came since the newest keyframe. */
  handleResume(): void {
    this.#paused = false;
    this.#sync = SYNC_START;
    for (const { kind, bytes } of this.#replay.chunks) this.#sink?.append(kind, bytes);
    this.#beginBurst();
  }

  handleInit(all: readonly Track[]): void {
    const tracks = all.filter(canPlay);
    const unsupported = all.filter((track) => !canPlay(track));
    const before = this.#tracks;
    this.#tracks = tracks;
    this.#defaults = new Map(
      all.flatMap((track) => parseInit(track.init).map((trex) => [trex.trackId, trex] as const)),
    );
    this.#target.handleDiscontinuity();
    this.#timeline.handleInit();
    if (unsupported.length > 0) this.#events.onUnsupported(unsupported);
    if (tracks.length === 0) {
      this.#closeSink();
      return;
    }
    const sameKinds = this.#sink?.kinds.join() === tracks.map((track) => track.kind).join();
    if (this.#sink && sameKinds) {
      this.#sink.reconfigure(tracks);
      if (!sameInit(before, tracks, 'video')) this.#replay.clear();
    } else {
      this.#openSink(sameInit(before, tracks, 'video'));
    }
  }

  handleChunk(bytes: Bytes): void {
    const nowMs = performance.now();
    this.#timeline.handleBytes(nowMs, bytes.byteLength);
    const chunk = parseChunk(bytes, this.#defaults);
    const track = this.#tracks.find((known) => known.id === chunk.trackId);
    if (!track) return;
    this.#burstUntilMs ??= nowMs + BURST_MS;
    const startS = chunk.decodeTicks / track.timescale;
    if (track.kind === this.#leading) {
      this.#timeline.handleChunk(chunk, track.timescale);
      if (!this.#bursting(nowMs)) this.#target.handleArrival(nowMs, startS * 1000);
      this.#newestS = startS;
    }
    this.#replay.handleChunk(track.kind, bytes, chunk.keyframe);
    if (!this.#sink && track.kind === this.#leading && chunk.keyframe) this.#rebuild(nowMs);
    else if (!this.#paused) this.#sink?.append(track.kind, bytes);
  }

  handleGap(trackId: number, fromUs: number, toUs: number, frames: number): void {
    this.gaps += 1;
    this.framesLost += frames;
    if (this.#tracks.find((track) => track.id === trackId)?.kind !== 'video') return;
    this.#holes.push({ start: fromUs / 1e6, end: toUs / 1e6 });
    if (this.#holes.length > MAX_HOLES) this.#holes.shift();
  }

  /** One turn of the timer. */
  tick(nowMs: number): void {
    const video = this.#video;
    if (!this.#sink) return;
    if (this.#newestS > Number.NEGATIVE_INFINITY && !this.#bursting(nowMs)) this.#handleStepBack();
    const input = {
      nowMs,
      currentTime: video.currentTime,
      ranges: this.#sink.ranges(),
      holes: this.#holes,
      targetS: this.targetMs(nowMs) / 1000,
      rate: video.playbackRate,
      paused: this.#paused || (video.paused && this.#sync.joined),
      bursting: this.#bursting(nowMs) || !this.#sink.idle,
      frameAtMs: this.#leading === 'video' ? this.#frames.frameAtMs : undefined,
      frameIntervalMs: this.#timeline.frameIntervalMs,
    };
    const { memory, action, stuck, stalled } = syncStep(this.#sync, input);
    this.#sync = memory;
    if (stalled && !this.#stalled) this.#handleStall(nowMs);
    this.#stuck = stuck;
    this.#stalled = stalled;
    if (action.type === 'rate') video.playbackRate = action.rate;
    if (action.type === 'seek') this.#seek(action.to, action.reason);
    this.#watchDeficit(nowMs);
    if (nowMs - this.#trimmedAtMs >= TRIM_EVERY_MS) this.#trim(nowMs, input.ranges);
  }

  /** Starts or goes on playing, muted if the browser wants it so. */
  async play(): Promise<void> {
    const video = this.#video;
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || video.muted) return;
      video.muted = true;
      this.#events.onMuted();
      await video.play().catch(() => undefined);
    }
  }

  seekToLive(): void {
    const last = this.#sink?.ranges().at(-1);
    if (last) this.#seek(liveTime(last, this.targetMs(performance.now()) / 1000), 'behind');
  }

  close(): void {
    this.#frames.close();
    this.#closeSink();
  }

  get progressing(): boolean {
    return (
      this.#sink !== undefined &&
      this.#sync.joined &&
      !this.#stuck &&
      this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA
    );
  }

  get tracks(): readonly Track[] {
    return this.#tracks;
  }

  get framesShown(): number {
    return this.#frames.shown;
  }

  fps(nowMs: number): number {
    return this.#frames.fps(nowMs);
  }

  bitrateBps(nowMs: number): number {
    return this.#timeline.bitrateBps(nowMs);
  }

  targetMs(nowMs: number): number {
    const hasAudio = this.#tracks.some((track) => track.kind === 'audio');
    const { reorderMs } = this.#timeline;
    return this.#target.targetMs({ nowMs, baseMs: this.baseTargetMs, hasAudio, reorderMs });
  }

  get jitterMs(): number {
    return this.#target.jitterMs;
  }

  bufferMs(): number {
    const last = this.#sink?.ranges().at(-1);
    return last ? Math.max(0, (last.end - this.#video.currentTime) * 1000) : 0;
  }

  /** From the frame's arrival at the server to the screen, median of the newest frames. */
  latencyMs(): number | undefined {
    if (this.#latencies.length === 0) return this.#latencyAt(this.#video.currentTime);
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }

  get #leading(): TrackKind {
    return this.#tracks.some((track) => track.kind === 'video') ? 'video' : 'audio';
  }

  #beginBurst(): void {
    this.#live = false;
    this.#burstUntilMs = undefined;
    this.#target.handleDiscontinuity();
  }

  /** A server that lost its timeline begins another one, which the old source would not reach. */
  #handleStepBack(): void {
    const steppedBack = this.#newestS < this.#edgeBeforeS - STEP_BACK_S;
    this.#edgeBeforeS = Number.NEGATIVE_INFINITY;
    if (!steppedBack) return;
    this.#timeline.clear();
    this.#openSink(true);
  }

  #bursting(nowMs: number): boolean {
    return !this.#live && nowMs < (this.#burstUntilMs ?? Number.POSITIVE_INFINITY);
  }

  #handleFrame(timeS: number): void {
    const latencyMs = this.#latencyAt(timeS);
    if (latencyMs === undefined) return;
    this.#latencies.push(latencyMs);
    if (this.#latencies.length > LATENCY_SAMPLES) this.#latencies.shift();
  }

  #latencyAt(timeS: number): number | undefined {
    const nowUs = this.#serverNowUs();
    const wallUs = this.#timeline.wallUsAt(timeS);
    return nowUs === undefined || wallUs === undefined ? undefined : (nowUs - wallUs) / 1000;
  }

  #watchDeficit(nowMs: number): void {
    const { reorderMs, frameIntervalMs } = this.#timeline;
    const tells = reorderMs > 0 && this.progressing && !this.#paused && !document.hidden;
    const shown = tells ? this.#frames.shown : undefined;
    if (!this.#deficit.handleTick({ nowMs, shown, frameIntervalMs })) return;
    if (this.#target.handleDeficit()) this.#sync = SYNC_START; // joins anew, further from the edge
  }

  #handleStall(nowMs: number): void {
    this.stalls += 1;
    this.#target.handleStall(nowMs);
  }

  #seek(to: number, reason: SeekReason): void {
    if (reason !== 'join') this.seeks += 1;
    this.#deficit.reset();
    this.#video.currentTime = to;
    this.#video.playbackRate = 1;
    this.#events.onSeek(reason);
    if (reason === 'join') void this.play();
  }

  #trim(nowMs: number, ranges: readonly Range[]): void {
    this.#trimmedAtMs = nowMs;
    const [first] = ranges;
    const time = this.#video.currentTime;
    if (!first || time - first.start < BACK_BUFFER_S) return;
    const keyframeS = this.#trimPoint(KEEP_BEHIND_S);
    if (keyframeS !== undefined) this.#sink?.trim(keyframeS);
  }

  #trimPoint(keepS: number): number | undefined {
    const beforeS = this.#video.currentTime - keepS;
    if (this.#leading === 'audio') return beforeS;
    const keyframeS = this.#timeline.keyframeBefore(beforeS);
    return keyframeS && keyframeS - 0.001; // rounding must not step over the keyframe
  }

  #openSink(replay: boolean): void {
    this.#closeSink();
    this.#sync = SYNC_START;
    this.#stuck = false;
    this.#holes = [];
    this.#latencies = [];
    this.#sink = new MediaSink(this.#video, this.#tracks, {
      onError: (detail) => this.#handleSinkError(detail),
      onQuota: (keepS) => this.#trimPoint(keepS),
    });
    if (!replay) this.#replay.clear();
    for (const { kind, bytes } of this.#replay.chunks) this.#sink.append(kind, bytes);
  }

  #closeSink(): void {
    this.#rebuildAtMs = undefined;
    this.#sink?.close();
    this.#sink = undefined;
  }

  /** Goes on at the next keyframe, as the frames since the last one may be what is broken. */
  #handleSinkError(detail: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#rebuiltAtMs > REBUILD_FORGET_MS) this.rebuilds = 0;
    this.#sink = undefined;
    if (this.rebuilds >= REBUILD_TIMES) {
      this.#events.onFailed(detail);
      return;
    }
    this.rebuilds += 1;
    this.#rebuildAtMs = Math.max(nowMs, this.#rebuiltAtMs + REBUILD_EVERY_MS);
  }

  /** Called with each keyframe: goes on here after an error. */
  #rebuild(nowMs: number): void {
    if (this.#rebuildAtMs === undefined || nowMs < this.#rebuildAtMs) return;
    this.#rebuiltAtMs = nowMs;
    this.#openSink(true);
  }
}

function sameInit(before: readonly Track[], after: readonly Track[], kind: TrackKind): boolean {
  const old = before.find((track) => track.kind === kind);
  const next = after.find((track) => track.kind === kind);
  if (!old || !next) return old === next;
  return old.init.length === next.init.length && old.init.every((byte, at) => byte === next.init[at]);
}
