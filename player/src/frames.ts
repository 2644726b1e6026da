/** Watches the frames a video element presents. */

import { epochMs } from './clock';

const FPS_WINDOW_MS = 2000;

export interface ShownFrame {
  timeS: number;
  atMs: number;
}

export class FrameWatch {
  readonly #video: HTMLVideoElement;
  #handle: number | undefined;
  #newest: { atMs: number; presented: number } | undefined;
  #recent: { atMs: number; frames: number }[] = [];
  #new: ShownFrame[] = [];
  #shown = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
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

  /** Those since the last call. */
  take(): ShownFrame[] {
    return this.#new.splice(0);
  }

  close(): void {
    if (this.#handle !== undefined) this.#video.cancelVideoFrameCallback(this.#handle);
    this.#handle = undefined;
  }

  #ask(): void {
    if (!('requestVideoFrameCallback' in HTMLVideoElement.prototype)) return;
    this.#handle = this.#video.requestVideoFrameCallback(
      (_, { mediaTime, presentedFrames, presentationTime }) => {
        const atMs = Math.min(epochMs(), performance.timeOrigin + presentationTime); // the page may be late
        const since = presentedFrames - (this.#newest?.presented ?? 0);
        const frames = this.#newest && since > 0 ? since : 1; // the count starts anew with each source
        this.#newest = { atMs, presented: presentedFrames };
        this.#shown += frames;
        this.#recent.push({ atMs, frames });
        while ((this.#recent[0]?.atMs ?? atMs) < atMs - FPS_WINDOW_MS) this.#recent.shift();
        this.#new.push({ timeS: mediaTime, atMs });
        if (this.#new.length > 120) this.#new.shift();
        this.#ask();
      },
    );
  }
}
