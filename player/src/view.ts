/** The element as the page sees it, told to the core at each turn of the timer. */

import type { Range } from './sync';

export interface View {
  /** Unix time, ms, as all times here that are not of the media. */
  nowMs: number;
  /** The number of the source that is attached. */
  source: number;
  currentTime: number;
  ranges: readonly Range[];
  rate: number;
  paused: boolean;
  readyState: number;
  /** When a frame was last presented; undefined where that can't be observed (hidden page, old browser). */
  frameAtMs: number | undefined;
  /** Presented since the last view. */
  newFrames: readonly { timeS: number; atMs: number }[];
  framesShown: number;
  framesDropped: number;
  firstFrameMs: number | undefined;
}
