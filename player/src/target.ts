/** The adaptive buffer target: what the server asks, more after stalls and with jitter, less again when calm. */

const VIDEO_ONLY_MS = 60;
const STALL_FACTOR = 1.5;
const MAX_STEPS = 6; // 150 ms becomes 1.7 s
const DECAY_MS = 30_000; // one step back per this long without a stall
const MAX_JITTER_MS = 300;
// With B frames Firefox shows a picture 0.4 s after it came at the earliest, and skips those that are late by then.
const HOLDING_MS = [0, 300, 450, 600] as const;
const USUAL_TARGET_MS = 150; // what the server says when it has no reason for more

export interface TargetInput {
  nowMs: number;
  /** `target_ms` of `hello`, or what the page asked for. */
  baseMs: number;
  hasAudio: boolean;
  /** Added as it is: the end of the buffer can't be shown yet. */
  reorderMs: number;
}

export class Target {
  #steps = 0;
  #changedAtMs = 0;
  #jitterMs = 0;
  #transitMs: number | undefined;
  #holding = 0;

  handleStall(nowMs: number): void {
    this.#steps = Math.min(MAX_STEPS, this.#steps + 1);
    this.#changedAtMs = nowMs;
  }

  /** The decoder holds frames back; true if the target can do something about it. */
  handleDeficit(): boolean {
    if (this.#holding + 1 >= HOLDING_MS.length) return false;
    this.#holding += 1;
    return true;
  }

  /** Interarrival jitter as in RFC 3550 6.4.1, from frames that came live. */
  handleArrival(nowMs: number, mediaMs: number): void {
    const transitMs = nowMs - mediaMs;
    const before = this.#transitMs;
    this.#transitMs = transitMs;
    if (before === undefined) return;
    const step = Math.min(MAX_JITTER_MS, Math.abs(transitMs - before));
    this.#jitterMs += (step - this.#jitterMs) / 16;
  }

  /** Call where the timeline or the connection begins anew. */
  handleDiscontinuity(): void {
    this.#transitMs = undefined;
  }

  get jitterMs(): number {
    return this.#jitterMs;
  }

  targetMs({ nowMs, baseMs, hasAudio, reorderMs }: TargetInput): number {
    while (this.#steps > 0 && nowMs - this.#changedAtMs >= DECAY_MS) {
      this.#steps -= 1;
      this.#changedAtMs += DECAY_MS;
    }
    const base = baseMs === USUAL_TARGET_MS && !hasAudio ? VIDEO_ONLY_MS : baseMs;
    return base * STALL_FACTOR ** this.#steps + this.#jitterMs + this.#reorderingMs(reorderMs);
  }

  #reorderingMs(reorderMs: number): number {
    return reorderMs === 0 ? 0 : reorderMs + (HOLDING_MS[this.#holding] ?? 0);
  }
}
