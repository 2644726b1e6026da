/** Notices that far fewer frames are shown than come, though time goes on: a decoder that holds frames back. */

const WINDOW_MS = 700;
const ENOUGH = 0.7;

export interface DeficitInput {
  nowMs: number;
  /** Frames presented so far; undefined while that says nothing (hidden, paused, stalled). */
  shown: number | undefined;
  frameIntervalMs: number;
}

export class Deficit {
  #start: { atMs: number; shown: number } | undefined;

  /** Call after each seek, and where another source begins. */
  reset(): void {
    this.#start = undefined;
  }

  /** True once per window in which frames were missing. */
  handleTick({ nowMs, shown, frameIntervalMs }: DeficitInput): boolean {
    if (shown === undefined || frameIntervalMs <= 0) {
      this.#start = undefined;
      return false;
    }
    this.#start ??= { atMs: nowMs, shown };
    const elapsedMs = nowMs - this.#start.atMs;
    if (elapsedMs < WINDOW_MS) return false;
    const missing = shown - this.#start.shown < (ENOUGH * elapsedMs) / frameIntervalMs;
    this.#start = { atMs: nowMs, shown };
    return missing;
  }
}
