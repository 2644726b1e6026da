/** What is known of the frames received: when each was made, where keyframes are, how much came. */

import type { Chunk } from './boxes';

const MAX_FRAMES = 2048; // 34 s at 60 fps, more than can be buffered behind and ahead
const MAX_KEYFRAMES = 256;
const SAME_FRAME_S = 0.002;
const MAX_REORDER_MS = 500; // 16 frames at 30 fps, the most that H.264 allows
const BITRATE_WINDOW_MS = 2000;

interface Frame {
  timeS: number;
  wallUs: number;
}

interface Arrival {
  atMs: number;
  bytes: number;
}

export class Timeline {
  #frames: Frame[] = [];
  #keyframesS: number[] = [];
  #arrivals: Arrival[] = [];
  #frameIntervalMs = 0;
  #newestS = -Infinity;
  #reorderMs = 0;

  /** Adds a chunk of the leading track: video, or audio where there is no video. */
  handleChunk(chunk: Chunk, timescale: number): void {
    const timeS = chunk.presentTicks / timescale;
    if (chunk.wallUs !== undefined) {
      this.#frames.push({ timeS, wallUs: chunk.wallUs });
      if (this.#frames.length > MAX_FRAMES) this.#frames.splice(0, MAX_FRAMES / 2);
    }
    if (timeS > this.#newestS) this.#newestS = timeS;
    else
      this.#reorderMs = Math.max(this.#reorderMs, Math.min(MAX_REORDER_MS, (this.#newestS - timeS) * 1000));
    if (chunk.keyframe) {
      this.#keyframesS.push(timeS);
      if (this.#keyframesS.length > MAX_KEYFRAMES) this.#keyframesS.shift();
    }
    this.#frameIntervalMs = ((chunk.durationTicks / timescale) * 1000) / chunk.samples;
  }

  handleBytes(atMs: number, bytes: number): void {
    this.#arrivals.push({ atMs, bytes });
    while ((this.#arrivals[0]?.atMs ?? atMs) < atMs - BITRATE_WINDOW_MS) this.#arrivals.shift();
  }

  /** What comes next may be of another publisher, with or without B frames, or begin before what came. */
  handleRepeat(): void {
    this.#newestS = -Infinity;
    this.#reorderMs = 0;
  }

  clear(): void {
    this.#frames = [];
    this.#keyframesS = [];
    this.handleRepeat();
  }

  /** Wall clock, in the server's Unix microseconds, at which the frame shown at this media time came in. */
  wallUsAt(timeS: number): number | undefined {
    let nearest: Frame | undefined;
    for (let at = this.#frames.length - 1; at >= 0; at--) {
      const frame = this.#frames[at];
      if (!frame) break;
      const distance = timeS - frame.timeS;
      if (Math.abs(distance) <= SAME_FRAME_S) return frame.wallUs;
      if (distance > 0 && (!nearest || frame.timeS > nearest.timeS)) nearest = frame;
      if (distance > 1) break;
    }
    return nearest && nearest.wallUs + (timeS - nearest.timeS) * 1e6;
  }

  /** The newest keyframe at or before a time; removing up to it leaves whole groups of pictures. */
  keyframeBefore(timeS: number): number | undefined {
    return this.#keyframesS.findLast((keyframe) => keyframe <= timeS);
  }

  /** How long before the end of what is buffered frames may still be missing, because of B frames. */
  get reorderMs(): number {
    return this.#reorderMs;
  }

  get frameIntervalMs(): number {
    return this.#frameIntervalMs;
  }

  bitrateBps(nowMs: number): number {
    const recent = this.#arrivals.filter((arrival) => arrival.atMs >= nowMs - BITRATE_WINDOW_MS);
    return (recent.reduce((sum, arrival) => sum + arrival.bytes, 0) * 8000) / BITRATE_WINDOW_MS;
  }
}
