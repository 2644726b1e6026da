/** Watches the frames a video element presents. */

const FPS_WINDOW_MS = 2000;

export interface FrameEvents {
  /** A frame with this media time is on the screen. */
  onFrame(mediaTimeS: number): void;
}

export class FrameWatch {
  readonly #video: HTMLVideoElement;
  readonly #events: FrameEvents;
  #handle: number | undefined;
  #newest: { atMs: number; presented: number } | undefined;
  #recent: { atMs: number; frames: number }[] = [];
  #shown = 0;

  constructor(video: HTMLVideoElement, events: FrameEvents) {
    this.#video = video;
    this.#events = events;
    this.#ask();
  }

  /** Frames presented, those between two callbacks too. */
  get shown(): number {
    return this.#shown;
  }

  fps(nowMs: number): number {
    const recent = this.#recent.filter(({ atMs }) => atMs >= nowMs - FPS_WINDOW_MS);
    return (recent.reduce((sum, { frames }) => sum + frames, 0) * 1000) / FPS_WINDOW_MS;
  }

  /** When the newest frame was presented; undefined where the browser does not tell. */
  get frameAtMs(): number | undefined {
    return document.hidden ? undefined : this.#newest?.atMs;
  }

  close(): void {
    if (this.#handle !== undefined) this.#video.cancelVideoFrameCallback(this.#handle);
    this.#handle = undefined;
  }

  #ask(): void {
    if (!('requestVideoFrameCallback' in HTMLVideoElement.prototype)) return;
    this.#handle = this.#video.requestVideoFrameCallback((_, { mediaTime, presentedFrames }) => {
      const atMs = performance.now();
      const since = presentedFrames - (this.#newest?.presented ?? 0);
      const frames = this.#newest && since > 0 ? since : 1; // the count starts anew with each source
      this.#newest = { atMs, presented: presentedFrames };
      this.#shown += frames;
      this.#recent.push({ atMs, frames });
      while ((this.#recent[0]?.atMs ?? atMs) < atMs - FPS_WINDOW_MS) this.#recent.shift();
      this.#events.onFrame(mediaTime);
      this.#ask();
    });
  }
}
