/** Keeps playback at the live edge: one pure step per timer tick decides to seek, to change the rate, or neither. */

export const TICK_MS = 40;
const STUCK_MS = 120; // currentTime unchanged this long
const FROZEN_MS = 400; // currentTime moves, but no new frame
const FROZEN_FRAMES = 3; // the same for slow pictures: this many frame durations
const RESEEK_MS = 700; // least time between two seeks that may not help
const SEEK_BEHIND_S = 1;
const DEADBAND_S = 0.06;
const SETTLED_S = 0.02;
const BEYOND_S = 0.1; // browsers let currentTime run a little past the last frame
const EDGE_S = 0.001; // a range's start itself may round to just outside it
const RUNNING_S = 0.01; // after a seek currentTime may differ by rounding
const MAX_RATE = 1.15;
const SLOW_RATE = 0.95;
const RATE_STEP = 0.02;
const SMOOTHING = 0.25; // per tick: about 150 ms, hides the steps of single frames

export interface Range {
  start: number;
  end: number;
}

/** Times in seconds of media unless named `_ms`, which are of the wall clock. */
export interface SyncInput {
  nowMs: number;
  currentTime: number;
  /** The element's `buffered`, in order. */
  ranges: readonly Range[];
  /** Video left out by the server, known beforehand. */
  holes: readonly Range[];
  targetS: number;
  rate: number;
  paused: boolean;
  /** The burst that brings a viewer to live is still coming. */
  bursting: boolean;
  /** When a new frame was last presented; undefined when that can't be observed (hidden page, no video). */
  frameAtMs: number | undefined;
  frameIntervalMs: number;
}

export type SeekReason = 'join' | 'hole' | 'gap' | 'beyond' | 'frozen' | 'decoder' | 'behind';
export type SyncAction =
  | { type: 'none' }
  | { type: 'seek'; to: number; reason: SeekReason }
  | { type: 'rate'; rate: number };

export interface SyncMemory {
  joined: boolean;
  /** The picture has moved since the last seek, so that standing still now is a stall. */
  running: boolean;
  time: number;
  changedAtMs: number;
  /** When it last went on after it stood still: pictures are missed from then on, not from before. */
  wentOnAtMs: number;
  /** Since when there is enough to play on with. */
  suppliedAtMs: number | undefined;
  seekAtMs: number;
  behindS: number;
}

export interface SyncResult {
  memory: SyncMemory;
  action: SyncAction;
  stuck: boolean;
  /** Stuck after it ran: to be counted. */
  stalled: boolean;
}

export const SYNC_START: SyncMemory = {
  joined: false,
  running: false,
  time: Number.NaN,
  changedAtMs: -Infinity,
  wentOnAtMs: 0,
  suppliedAtMs: undefined,
  seekAtMs: -Infinity,
  behindS: 0,
};

const NONE: SyncAction = { type: 'none' };

export function syncStep(before: SyncMemory, input: SyncInput): SyncResult {
  const { nowMs, currentTime } = input;
  const moved = currentTime !== before.time || input.paused;
  const memory: SyncMemory = {
    ...before,
    running: before.running || (before.joined && currentTime > before.time + RUNNING_S && !input.paused),
    time: currentTime,
    changedAtMs: moved ? nowMs : before.changedAtMs,
    wentOnAtMs: moved && nowMs - before.changedAtMs >= STUCK_MS ? nowMs : before.wentOnAtMs,
    suppliedAtMs: supplied(input) ? (before.suppliedAtMs ?? nowMs) : undefined,
  };
  const stuckMs = nowMs - memory.changedAtMs;
  const stuck = memory.joined && stuckMs >= STUCK_MS;
  const stalled = stuck && memory.running;
  const last = input.ranges.at(-1);
  if (!last || input.paused) return { memory, action: NONE, stuck, stalled };
  const reason = seekReason(memory, input, last, stuckMs);
  if (reason) {
    const to = liveTime(last, input.targetS);
    const after = { ...SYNC_START, joined: true, time: to, changedAtMs: nowMs, seekAtMs: nowMs };
    return { memory: after, action: { type: 'seek', to, reason }, stuck, stalled };
  }
  if (!memory.joined || stuck) return { memory, action: NONE, stuck, stalled };
  const behindS = last.end - currentTime - input.targetS;
  memory.behindS += SMOOTHING * (behindS - memory.behindS);
  const rate = wantedRate(memory.behindS, input.rate);
  return { memory, action: rate === input.rate ? NONE : { type: 'rate', rate }, stuck, stalled };
}

/** Where a viewer at the live edge should be. */
export function liveTime(last: Range, targetS: number): number {
  return Math.max(last.start + EDGE_S, last.end - targetS);
}

function supplied({ ranges, currentTime, targetS }: SyncInput): boolean {
  const last = ranges.at(-1);
  return last !== undefined && last.start <= currentTime && last.end - currentTime > targetS;
}

function seekReason(
  memory: SyncMemory,
  input: SyncInput,
  last: Range,
  stuckMs: number,
): SeekReason | undefined {
  const { nowMs, currentTime: time, targetS } = input;
  if (!memory.joined) return input.bursting ? undefined : 'join';
  const sinceSeekMs = nowMs - memory.seekAtMs;
  const maySeek = sinceSeekMs >= RESEEK_MS;
  const inHole = input.holes.some((hole) => time >= hole.start && time < hole.end && last.end > hole.end);
  if (inHole && last.start > time) return 'gap';
  if (stuckMs >= STUCK_MS) {
    if (last.start > time) return 'hole';
    if (time > last.end + BEYOND_S) return maySeek ? 'beyond' : undefined;
    const suppliedMs = nowMs - (memory.suppliedAtMs ?? nowMs);
    if (maySeek && suppliedMs >= FROZEN_MS) return 'decoder';
  } else if (input.frameAtMs !== undefined && maySeek && last.end > time + input.frameIntervalMs / 1000) {
    const frozenMs = nowMs - Math.max(input.frameAtMs, memory.seekAtMs, memory.wentOnAtMs);
    if (frozenMs >= Math.max(FROZEN_MS, FROZEN_FRAMES * input.frameIntervalMs)) return 'frozen';
  }
  const behindS = last.end - time - targetS;
  return maySeek && !input.bursting && behindS > SEEK_BEHIND_S ? 'behind' : undefined;
}

function wantedRate(behindS: number, rate: number): number {
  const settled = rate !== 1 && Math.sign(behindS) === Math.sign(rate - 1) ? SETTLED_S : DEADBAND_S;
  if (behindS > settled) {
    const steps = Math.max(1, Math.round((0.4 * behindS) / RATE_STEP));
    return Math.min(MAX_RATE, round(1 + steps * RATE_STEP));
  }
  return behindS < -settled ? SLOW_RATE : 1;
}

function round(rate: number): number {
  return Math.round(rate * 100) / 100;
}
