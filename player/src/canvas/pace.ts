/** When decoded sound is played: media time laid over the time of an audio clock, with the buffer to hold. */

const LATE_STEP = 1.5;
const TARGET_MAX_S = 1;
const AHEAD_MAX_S = 0.25; // more than the target: the delay crept in

export class Pace {
  targetS: number;
  /** Times that sound came too late to follow on. */
  stalls = 0;
  #offsetS: number | undefined;

  constructor(targetS: number) {
    this.targetS = targetS;
  }

  /** When to play sound of this media time; undefined: leave it out, as too much is waiting. */
  place(mediaS: number, clockS: number): number | undefined {
    if (this.#offsetS === undefined) this.#offsetS = clockS + this.targetS - mediaS;
    const aheadS = mediaS + this.#offsetS - clockS;
    if (aheadS < 0) {
      this.stalls += 1;
      this.targetS = Math.min(TARGET_MAX_S, this.targetS * LATE_STEP);
      this.#offsetS = clockS + this.targetS - mediaS;
    } else if (aheadS > this.targetS + AHEAD_MAX_S) {
      this.#offsetS -= aheadS - this.targetS;
      return undefined;
    }
    return mediaS + this.#offsetS;
  }

  /** The media time that is heard now; undefined before there is sound. */
  mediaAt(clockS: number): number | undefined {
    return this.#offsetS === undefined ? undefined : clockS - this.#offsetS;
  }

  reset(): void {
    this.#offsetS = undefined;
  }
}
