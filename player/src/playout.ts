/** From chunks to a MediaSource, and the sync rules: what the element shall do, from what it was seen to do. */

import { parseChunk, parseInit, type TrackDefaults } from './boxes';
import { epochMs } from './clock';
import { Deficit } from './deficit';
import { type Attachment, type Bytes, canPlay, MediaSink } from './mse';
import type { Gap, Track, TrackKind } from './protocol';
import { Replay } from './replay';
import { liveTime, type Range, type SeekReason, SYNC_START, type SyncMemory, syncStep } from './sync';
import { Target } from './target';
import { Timeline } from './timeline';
import type { View } from './view';

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
const MAX_TURN_MS = 1000; // of played time between two views: timers of hidden pages
const HAVE_CURRENT_DATA = 2; // HTMLMediaElement's, which a worker has no name for

export interface PlayoutEvents {
  /** The browser can't decode these tracks; the others go on. */
  onUnsupported(tracks: Track[]): void;
  onFailed(detail: string): void;
  /** Another source for the element. */
  onAttach(source: number, attachment: Attachment): void;
  onSeek(to: number, reason: SeekReason): void;
  onRate(rate: number): void;
}

export class Playout {
  readonly counts = { stalls: 0, seeks: 0, gaps: 0, framesLost: 0, rebuilds: 0 };
  /** Time in which the picture went on, and in which it stood still though it should not. */
  playedMs = 0;
  stalledMs = 0;
  /** The base of the buffer target, ms: what the server says, and what the page wants instead. */
  baseTargetMs = 150;
  askedTargetMs: number | undefined;
  /** Which kinds of track are wanted at all. */
  wants: Readonly<Record<TrackKind, boolean>> = { video: true, audio: true };
  readonly #events: PlayoutEvents;
  readonly #timeline = new Timeline();
  readonly #replay = new Replay();
  readonly #target = new Target();
  readonly #deficit = new Deficit();
  /** The server's clock minus ours, microseconds. */
  readonly #offsetUs: () => number | undefined;
  #view: View | undefined;
  #source = 0;
  #offered: readonly Track[] = [];
  #sink: MediaSink | undefined;
  #tracks: Track[] = [];
  #defaults = new Map<number, TrackDefaults>();
  #sync: SyncMemory = SYNC_START;
  #stuck = false;
  #stalled = false;
  #holes: Range[] = [];
  #burstUntilMs: number | undefined;
  #live = false;
  #newestS = -Infinity;
  #edgeBeforeS = -Infinity;
  #paused = false;
  #latencies: number[] = [];
  #trimmedAtMs = 0;
  #rebuiltAtMs = -Infinity;
  #rebuildAtMs: number | undefined;

  constructor(offsetUs: () => number | undefined, events: PlayoutEvents) {
    this.#offsetUs = offsetUs;
    this.#events = events;
  }

  /** A new connection: a burst from a keyframe comes, until `handleLive`. */
  handleBurst(): void {
    this.#edgeBeforeS = Math.max(this.#edgeBeforeS, this.#newestS);
    this.#newestS = -Infinity;
    this.#replay.clear();
    this.#beginBurst();
  }

  handleLive(): void {
    this.#live = true;
  }

  /** While paused nothing is handed to the browser; then it joins anew, with the burst that the server sends. */
  handlePaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) return;
    this.#sync = SYNC_START;
    this.#timeline.handleRepeat();
    this.#beginBurst();
  }

  /** Says which kinds are wanted; what is not is left out even where the server goes on sending it. */
  handleWants(wants: Readonly<Record<TrackKind, boolean>>): void {
    this.wants = wants;
    if (this.#offered.length > 0) this.handleInit(this.#offered);
  }

  handleInit(all: readonly Track[]): void {
    this.#offered = all;
    const wanted = all.filter((track) => this.wants[track.kind]);
    const tracks = wanted.filter(canPlay);
    const unsupported = wanted.filter((track) => !tracks.includes(track));
    const before = this.#tracks;
    this.#tracks = tracks;
    this.#defaults = new Map(
      all.flatMap((track) => parseInit(track.init).map((trex) => [trex.trackId, trex] as const)),
    );
    this.#target.handleDiscontinuity();
    this.#timeline.handleRepeat();
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
    const nowMs = epochMs();
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

  handleGap({ track: id, fromUs, toUs, frames }: Gap): void {
    this.counts.gaps += 1;
    this.counts.framesLost += frames;
    if (this.#tracks.find((track) => track.id === id)?.kind !== 'video') return;
    this.#holes.push({ start: fromUs / 1e6, end: toUs / 1e6 });
    if (this.#holes.length > MAX_HOLES) this.#holes.shift();
  }

  /** One turn of the timer, with what the element looks like now. */
  tick(view: View): void {
    const { nowMs } = view;
    if (!this.#sink || view.source !== this.#source) return;
    this.#countTime(view);
    this.#view = view;
    for (const frame of view.newFrames) this.#handleFrame(frame);
    if (this.#newestS > -Infinity && !this.#bursting(nowMs)) this.#handleStepBack();
    const input = {
      nowMs,
      currentTime: view.currentTime,
      ranges: view.ranges,
      holes: this.#holes,
      targetS: this.#targetMs(nowMs) / 1000,
      rate: view.rate,
      paused: this.#paused || (view.paused && this.#sync.joined),
      bursting: this.#bursting(nowMs) || !this.#sink.idle,
      frameAtMs: this.#leading === 'video' ? view.frameAtMs : undefined,
      frameIntervalMs: this.#timeline.frameIntervalMs,
    };
    const { memory, action, stuck, stalled } = syncStep(this.#sync, input);
    this.#sync = memory;
    if (stalled && !this.#stalled) this.#handleStall(nowMs);
    this.#stuck = stuck;
    this.#stalled = stalled;
    if (action.type === 'rate') this.#events.onRate(action.rate);
    if (action.type === 'seek') this.#seek(action.to, action.reason);
    this.#watchDeficit(view);
    if (nowMs - this.#trimmedAtMs >= TRIM_EVERY_MS) this.#trim(view);
  }

  #countTime({ nowMs, paused }: View): void {
    const sinceMs = Math.min(MAX_TURN_MS, nowMs - (this.#view?.nowMs ?? nowMs));
    if (!this.#sync.joined || this.#paused || paused) return;
    if (this.#progressing) this.playedMs += sinceMs;
    else this.stalledMs += sinceMs;
  }

  seekToLive(): void {
    const last = this.#view?.ranges.at(-1);
    if (this.#sink && last) this.#seek(liveTime(last, this.#targetMs(epochMs()) / 1000), 'behind');
  }

  /** The element refused what it was given. */
  handleMediaError(detail: string): void {
    this.#sink?.handleError(detail);
  }

  close(): void {
    this.#closeSink();
  }

  /** What is known of the playing. */
  report(nowMs: number) {
    return {
      progressing: this.#progressing,
      latencyMs: this.#latencyMs(),
      bufferMs: this.#bufferMs(),
      targetMs: this.#targetMs(nowMs),
      jitterMs: this.#target.jitterMs,
      bitrateBps: this.#timeline.bitrateBps(nowMs),
      ...this.counts,
    };
  }

  get tracks(): readonly Track[] {
    return this.#tracks;
  }

  get #progressing(): boolean {
    return (
      this.#sink !== undefined &&
      this.#sync.joined &&
      !this.#stuck &&
      (this.#view?.readyState ?? 0) >= HAVE_CURRENT_DATA
    );
  }

  #targetMs(nowMs: number): number {
    const { askedTargetMs } = this;
    const hasAudio = askedTargetMs !== undefined || this.#tracks.some((track) => track.kind === 'audio');
    const { reorderMs } = this.#timeline;
    return this.#target.targetMs({ nowMs, baseMs: askedTargetMs ?? this.baseTargetMs, hasAudio, reorderMs });
  }

  #bufferMs(): number {
    const last = this.#sink && this.#view?.ranges.at(-1);
    return last && this.#view ? Math.max(0, (last.end - this.#view.currentTime) * 1000) : 0;
  }

  /** From the frame's arrival at the server to the screen, median of the newest frames. */
  #latencyMs(): number | undefined {
    if (this.#latencies.length === 0)
      return this.#view && this.#latencyAt(this.#view.currentTime, this.#view.nowMs);
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
    this.#edgeBeforeS = -Infinity;
    if (!steppedBack) return;
    this.#timeline.clear();
    this.#openSink(true);
  }

  #bursting(nowMs: number): boolean {
    return !this.#live && nowMs < (this.#burstUntilMs ?? Infinity);
  }

  #handleFrame({ timeS, atMs }: View['newFrames'][number]): void {
    const latencyMs = this.#latencyAt(timeS, atMs);
    if (latencyMs === undefined) return;
    this.#latencies.push(latencyMs);
    if (this.#latencies.length > LATENCY_SAMPLES) this.#latencies.shift();
  }

  #latencyAt(timeS: number, atMs: number): number | undefined {
    const offsetUs = this.#offsetUs();
    const wallUs = this.#timeline.wallUsAt(timeS);
    return offsetUs === undefined || wallUs === undefined ? undefined : atMs + (offsetUs - wallUs) / 1000;
  }

  #watchDeficit({ nowMs, framesShown, frameAtMs }: View): void {
    const { reorderMs, frameIntervalMs } = this.#timeline;
    const tells = reorderMs > 0 && this.#progressing && !this.#paused && frameAtMs !== undefined;
    const shown = tells ? framesShown : undefined;
    if (!this.#deficit.handleTick({ nowMs, shown, frameIntervalMs })) return;
    if (this.#target.handleDeficit()) this.#sync = SYNC_START; // joins anew, further from the edge
  }

  #handleStall(nowMs: number): void {
    this.counts.stalls += 1;
    this.#target.handleStall(nowMs);
  }

  #seek(to: number, reason: SeekReason): void {
    if (reason !== 'join') this.counts.seeks += 1;
    this.#deficit.reset();
    this.#events.onSeek(to, reason);
  }

  #trim({ nowMs, currentTime, ranges }: View): void {
    this.#trimmedAtMs = nowMs;
    const [first] = ranges;
    if (!first || currentTime - first.start < BACK_BUFFER_S) return;
    const beforeS = this.#trimPoint();
    if (beforeS !== undefined) this.#sink?.trim(beforeS);
  }

  #trimPoint(): number | undefined {
    const beforeS = (this.#view?.currentTime ?? 0) - KEEP_BEHIND_S;
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
    this.#view = undefined;
    this.#sink = new MediaSink(this.#tracks, {
      onError: (detail) => this.#handleSinkError(detail),
      onQuota: () => this.#trimPoint(),
    });
    this.#source += 1;
    this.#events.onAttach(this.#source, this.#sink.attachment);
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
    const nowMs = epochMs();
    if (nowMs - this.#rebuiltAtMs > REBUILD_FORGET_MS) this.counts.rebuilds = 0;
    this.#sink = undefined;
    if (this.counts.rebuilds >= REBUILD_TIMES) {
      this.#events.onFailed(detail);
      return;
    }
    this.counts.rebuilds += 1;
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
