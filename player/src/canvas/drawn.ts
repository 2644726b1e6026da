/** What was drawn: how many frames, how late, and how long the picture went on or stood still. */

const FPS_WINDOW_MS = 2000;
const FREEZE_MS = 500; // without a new frame: it stands still
const LATENCY_SAMPLES = 15;
const TURN_MAX_MS = 1000; // between two looks at the clock: timers of hidden pages

export class Drawn {
  frames = 0;
  playedMs = 0;
  stalledMs = 0;
  firstAtMs: number | undefined;
  #recentMs: number[] = [];
  #latenciesMs: number[] = [];
  #lookedAtMs: number | undefined;

  handleFrame(nowMs: number, latencyMs: number | undefined): void {
    this.frames += 1;
    this.firstAtMs ??= nowMs;
    this.#recentMs = [...this.#recentMs.filter((atMs) => atMs > nowMs - FPS_WINDOW_MS), nowMs];
    if (latencyMs === undefined) return;
    this.#latenciesMs = [...this.#latenciesMs, latencyMs].slice(-LATENCY_SAMPLES);
  }

  /** Counts the time since the last call; not where it is meant to stand still, nor before the first frame. */
  handleTurn(nowMs: number, isMeantToGoOn: boolean): void {
    const sinceMs = Math.min(TURN_MAX_MS, nowMs - (this.#lookedAtMs ?? nowMs));
    this.#lookedAtMs = nowMs;
    if (!isMeantToGoOn || this.firstAtMs === undefined) return;
    if (this.goesOn(nowMs)) this.playedMs += sinceMs;
    else this.stalledMs += sinceMs;
  }

  goesOn(nowMs: number): boolean {
    return nowMs - (this.#recentMs.at(-1) ?? -Infinity) < FREEZE_MS;
  }

  fps(nowMs: number): number {
    const recent = this.#recentMs.filter((atMs) => atMs > nowMs - FPS_WINDOW_MS);
    return (recent.length * 1000) / FPS_WINDOW_MS;
  }

  /** From a frame's arrival at the server to the screen, median of the newest. */
  get latencyMs(): number | undefined {
    const sorted = [...this.#latenciesMs].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}
