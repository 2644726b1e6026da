import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Range,
  SYNC_START,
  type SyncAction,
  type SyncInput,
  type SyncMemory,
  syncStep,
  TICK_MS,
} from '../src/sync';

const TARGET_S = 0.15;

/** A player reduced to numbers: time runs while there is media, actions are obeyed. */
class Player {
  nowMs = 0;
  time = 0;
  rate = 1;
  ranges: Range[] = [];
  holes: Range[] = [];
  paused = false;
  bursting = false;
  frozen = false;
  /** Time passes even where there is no media, as when only the sound goes on. */
  coasting = false;
  /** Media arrives in real time at the end of the last range. */
  feeding = true;
  frameAtMs: number | undefined = 0;
  memory: SyncMemory = SYNC_START;
  stalls = 0;
  actions: { atMs: number; action: SyncAction }[] = [];
  #stalled = false;

  run(ms: number): this {
    for (const until = this.nowMs + ms; this.nowMs < until; ) this.#tick();
    return this;
  }

  get seeks() {
    return this.actions.filter(({ action }) => action.type === 'seek');
  }

  get reasons(): string[] {
    return this.seeks.map(({ action }) => (action.type === 'seek' ? action.reason : ''));
  }

  get behindS(): number {
    return (this.ranges.at(-1)?.end ?? 0) - this.time - TARGET_S;
  }

  #tick(): void {
    this.nowMs += TICK_MS;
    const last = this.ranges.at(-1);
    if (last && this.feeding) last.end += TICK_MS / 1000;
    this.#play();
    const input: SyncInput = {
      nowMs: this.nowMs,
      currentTime: this.time,
      ranges: this.ranges,
      holes: this.holes,
      targetS: TARGET_S,
      rate: this.rate,
      paused: this.paused,
      bursting: this.bursting,
      frameAtMs: this.frameAtMs,
      frameIntervalMs: 33,
    };
    const { memory, action, stalled } = syncStep(this.memory, input);
    this.memory = memory;
    if (stalled && !this.#stalled) this.stalls += 1;
    this.#stalled = stalled;
    if (action.type === 'none') return;
    this.actions.push({ atMs: this.nowMs, action });
    if (action.type === 'rate') this.rate = action.rate;
    else [this.time, this.rate] = [action.to, 1];
  }

  #play(): void {
    if (this.paused) return;
    const range = this.ranges.find(({ start, end }) => this.time >= start && this.time < end);
    if (!range && !this.coasting) return;
    const next = this.time + (TICK_MS / 1000) * this.rate;
    this.time = range && !this.coasting ? Math.min(next, range.end) : next;
    if (!this.frozen && this.frameAtMs !== undefined) this.frameAtMs = this.nowMs;
  }
}

function playing(): Player {
  const player = new Player();
  player.ranges = [{ start: 100, end: 101 }];
  return player.run(2000);
}

test('a viewer joins near the end of the burst', () => {
  const player = new Player();
  player.ranges = [{ start: 100, end: 101.5 }];
  player.bursting = true;
  assert.deepEqual(player.run(200).reasons, []);
  player.bursting = false;
  player.run(40);
  assert.deepEqual(player.reasons, ['join']);
  assert.ok(Math.abs(player.behindS) < 0.001);
});

test('a burst shorter than the target starts just after its first frame', () => {
  const player = new Player();
  player.ranges = [{ start: 100, end: 100.02 }];
  player.run(40);
  assert.equal(player.time, 100.001);
});

test('steady play asks for nothing', () => {
  const player = playing().run(20_000);
  assert.deepEqual(player.reasons, ['join']);
  assert.equal(player.stalls, 0);
  assert.equal(player.rate, 1);
});

test('a hole is left by a seek to the newest media', () => {
  for (const holeS of [0.05, 0.09, 0.3, 2]) {
    const player = playing();
    const end = player.ranges[0]?.end ?? 0;
    player.ranges.push({ start: end + holeS, end: end + holeS + 0.01 });
    const before = player.nowMs;
    player.run(3000);
    assert.deepEqual(player.reasons, ['join', holeS > 1 ? 'behind' : 'hole'], `hole of ${holeS} s`);
    assert.ok((player.seeks[1]?.atMs ?? 0) - before < 500);
    assert.ok(player.stalls <= 1);
    assert.ok(Math.abs(player.behindS) < 0.1);
  }
});

test('a gap that was told is left at once, even while the sound goes on', () => {
  const player = playing();
  const end = player.ranges[0]?.end ?? 0;
  player.coasting = true;
  player.feeding = false;
  player.frozen = true;
  player.run(1000);
  assert.deepEqual(player.reasons, ['join']);
  player.holes = [{ start: end, end: end + 2 }];
  player.ranges.push({ start: end + 2, end: end + 2.033 });
  player.run(40);
  assert.deepEqual(player.reasons, ['join', 'gap']);
});

test('after media stayed away, pictures are missed from when it goes on and not from before', () => {
  const player = playing();
  player.feeding = false;
  player.run(2000);
  const [range] = player.ranges;
  if (range) range.end += 0.4;
  player.frozen = true; // the first picture takes a moment
  player.run(120);
  assert.deepEqual(player.reasons, ['join']);
});

test('no media: it waits without seeking, and counts one stall', () => {
  const player = playing();
  player.feeding = false;
  player.run(3000);
  assert.deepEqual(player.reasons, ['join']);
  assert.equal(player.stalls, 1);
});

test('after a stall of 2 s it is back at the live edge with one seek', () => {
  const player = playing();
  player.feeding = false;
  player.run(2000);
  const last = player.ranges[0];
  assert.ok(last);
  last.end += 2;
  player.feeding = true;
  player.run(1000);
  assert.deepEqual(player.reasons, ['join', 'behind']);
  assert.ok(Math.abs(player.behindS) < 0.1);
});

test('a little behind is caught up by rate, at most 1.15', () => {
  const player = playing();
  const last = player.ranges[0];
  assert.ok(last);
  last.end += 0.6;
  player.run(12_000);
  const rates = player.actions.flatMap(({ action }) => (action.type === 'rate' ? [action.rate] : []));
  assert.deepEqual(player.reasons, ['join']);
  assert.ok(Math.max(...rates) <= 1.15 && Math.max(...rates) > 1.1);
  assert.ok(Math.abs(player.behindS) < 0.06);
  assert.equal(player.rate, 1);
});

test('too near the edge it slows down to 0.95', () => {
  const player = playing();
  player.time += 0.12;
  player.run(400);
  assert.equal(player.rate, 0.95);
  player.run(6000);
  assert.equal(player.rate, 1);
  assert.deepEqual(player.reasons, ['join']);
});

test('a frozen picture with running time is left by seeks 700 ms apart', () => {
  const player = playing();
  player.frozen = true;
  player.run(2500);
  assert.deepEqual(player.reasons.slice(0, 3), ['join', 'frozen', 'frozen']);
  const [, first, second] = player.seeks;
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 700);
});

test('where frames cannot be observed, nothing is thought frozen', () => {
  const player = new Player();
  player.frameAtMs = undefined;
  player.ranges = [{ start: 0, end: 1 }];
  player.run(5000);
  assert.deepEqual(player.reasons, ['join']);
});

test('a decoder that does not start although there is media gets another seek', () => {
  const player = playing();
  const [range] = player.ranges;
  assert.ok(range);
  const { memory, nowMs } = player;
  const input = {
    currentTime: player.time,
    ranges: [{ start: range.start, end: player.time + 0.5 }],
    holes: [],
  };
  let at = memory;
  const reasons: string[] = [];
  for (let ms = 0; ms < 1500; ms += TICK_MS) {
    const rest = {
      targetS: TARGET_S,
      rate: 1,
      paused: false,
      bursting: false,
      frameAtMs: undefined,
      frameIntervalMs: 33,
    };
    const step = syncStep(at, { ...input, ...rest, nowMs: nowMs + ms });
    at = step.memory;
    if (step.action.type === 'seek') reasons.push(step.action.reason);
  }
  assert.equal(reasons[0], 'decoder');
  assert.ok(reasons.length <= 2);
});

test('beyond the end it goes back to the edge', () => {
  const player = playing();
  player.feeding = false;
  player.time = (player.ranges[0]?.end ?? 0) + 5;
  player.run(1000);
  assert.deepEqual(player.reasons, ['join', 'beyond']);
});

test('a paused picture is left alone', () => {
  const player = playing();
  player.paused = true;
  player.run(5000);
  assert.deepEqual(player.reasons, ['join']);
  assert.equal(player.stalls, 0);
});
