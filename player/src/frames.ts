/** Watches the frames a video element presents. */

const FPS_WINDOW_MS = 2000;

export interface FrameEvents {
  /** A frame with this media time is on the screen. */
  onFrame(mediaTimeS: number, nowMs: number): void;
}

export class FrameWatch {
  readonly #video: HTMLVideoElement;
  readonly #events: FrameEvents;
  #handle: number | undefined;
  #times: number[] = [];
  #shown = 0;

  constructor(video: HTMLVideoElement, events: FrameEvents) {
    this.#video = video;
    this.#events = events;
    this.#ask();
  }

  /** Frames presented, as far as this page could see. */
  get shown(): number {
    return this.#shown;
  }

  fps(nowMs: number): number {
    const recent = this.#times.filter((time) => time >= nowMs - FPS_WINDOW_MS);
    return (recent.length * 1000) / FPS_WINDOW_MS;
  }

  /** When the newest frame was presented; undefined where the browser does not tell. */
  get frameAtMs(): number | undefined {
    return document.hidden ? undefined : this.#times.at(-1);
  }

  close(): void {
    if (this.#handle !== undefined) this.#video.cancelVideoFrameCallback(this.#handle);
    this.#handle = undefined;
  }

  #ask(): void {
    if (!('requestVideoFrameCallback' in HTMLVideoElement.prototype)) return;
    this.#handle = this.#video.requestVideoFrameCallback((_, { mediaTime }) => {
      const nowMs = performance.now();
      this.#shown += 1;
      this.#times.push(nowMs);
      while ((this.#times[0] ?? nowMs) < nowMs - FPS_WINDOW_MS) this.#times.shift();
      this.#events.onFrame(mediaTime, nowMs);
      this.#ask();
    });
  }
}
