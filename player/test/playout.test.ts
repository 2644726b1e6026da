import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Chunk } from '../src/boxes';
import { Deficit } from '../src/deficit';
import { Replay } from '../src/replay';
import { Target } from '../src/target';
import { Timeline } from '../src/timeline';

function frame(n: number, more: Partial<Chunk> = {}): Chunk {
  const ticks = n * 3000;
  return {
    trackId: 1,
    decodeTicks: ticks,
    presentTicks: ticks,
    durationTicks: 3000,
    samples: 1,
    keyframe: n % 30 === 0,
    wallUs: 1e15 + n * 33_333,
    ...more,
  };
}

test('a media time is mapped to the wall clock of its frame', () => {
  const timeline = new Timeline();
  for (let n = 0; n < 90; n++) timeline.handleChunk(frame(n), 90_000);
  assert.equal(timeline.wallUsAt(1), 1e15 + 30 * 33_333);
  assert.equal(timeline.wallUsAt(1.01), 1e15 + 30 * 33_333 + 10_000);
  assert.equal(timeline.wallUsAt(-1), undefined);
  assert.equal(Math.round(timeline.frameIntervalMs), 33);
});

test('the way to trim ends at a keyframe', () => {
  const timeline = new Timeline();
  for (let n = 0; n < 90; n++) timeline.handleChunk(frame(n), 90_000);
  assert.equal(timeline.keyframeBefore(1.99), 1);
  assert.equal(timeline.keyframeBefore(2), 2);
  assert.equal(timeline.keyframeBefore(-1), undefined);
});

test('B frames show how much of the end may be missing', () => {
  const timeline = new Timeline();
  for (const n of [0, 3, 1, 2, 6, 4, 5]) timeline.handleChunk(frame(n), 90_000);
  assert.equal(Math.round(timeline.reorderMs), 67);
  timeline.handleRepeat();
  assert.equal(timeline.reorderMs, 0);
});

test('the bit rate is that of the last two seconds', () => {
  const timeline = new Timeline();
  for (let ms = 0; ms <= 10_000; ms += 100) timeline.handleBytes(ms, 12_500);
  assert.ok(Math.abs(timeline.bitrateBps(10_000) - 1e6) < 6e4);
  assert.equal(timeline.bitrateBps(13_000), 0);
});

test('a new source starts from the newest keyframe, with the sound since then', () => {
  const replay = new Replay();
  const bytes = (n: number) => Uint8Array.of(n);
  replay.handleChunk('video', bytes(1), false);
  replay.handleChunk('video', bytes(2), true);
  replay.handleChunk('audio', bytes(3), true);
  replay.handleChunk('video', bytes(4), false);
  assert.deepEqual(
    replay.chunks.map((chunk) => chunk.bytes[0]),
    [2, 3, 4],
  );
  replay.handleChunk('video', bytes(5), true);
  assert.deepEqual(
    replay.chunks.map((chunk) => chunk.bytes[0]),
    [5],
  );
});

test('an endless group of pictures is not kept', () => {
  const replay = new Replay();
  replay.handleChunk('video', new Uint8Array(1), true);
  for (let n = 0; n < 20; n++) replay.handleChunk('video', new Uint8Array(1024 * 1024), false);
  assert.equal(replay.chunks.length, 0);
});

const ASKED = { nowMs: 0, baseMs: 150, hasAudio: true, reorderMs: 0 };

test('the target grows by half per stall and comes back', () => {
  const target = new Target();
  assert.equal(target.targetMs(ASKED), 150);
  target.handleStall(1000);
  target.handleStall(2000);
  assert.equal(target.targetMs({ ...ASKED, nowMs: 3000 }), 337.5);
  assert.equal(target.targetMs({ ...ASKED, nowMs: 33_000 }), 225);
  assert.equal(target.targetMs({ ...ASKED, nowMs: 70_000 }), 150);
});

test('video alone needs less, and what the page asked for is kept', () => {
  const target = new Target();
  assert.equal(target.targetMs({ ...ASKED, hasAudio: false }), 60);
  assert.equal(target.targetMs({ ...ASKED, hasAudio: false, baseMs: 800 }), 800);
});

test('uneven arrival raises the target, a discontinuity does not', () => {
  const target = new Target();
  for (let n = 0; n < 200; n++) target.handleArrival(n * 33 + (n % 2) * 40, n * 33);
  assert.ok(target.jitterMs > 30 && target.jitterMs < 45);
  const even = new Target();
  even.handleArrival(0, 0);
  even.handleDiscontinuity();
  even.handleArrival(10, 9e6);
  assert.equal(even.jitterMs, 0);
});

test('a decoder that holds frames back gets more, only with B frames, and not without end', () => {
  const target = new Target();
  assert.equal(target.handleDeficit(), true);
  assert.equal(target.targetMs({ ...ASKED, reorderMs: 66 }), 516);
  assert.equal(target.targetMs(ASKED), 150);
  assert.equal(target.handleDeficit(), true);
  assert.equal(target.handleDeficit(), true);
  assert.equal(target.handleDeficit(), false);
});

test('missing frames are noticed per window, and not where nothing can be seen', () => {
  const tell = (framesPerS: number, visible: boolean) => {
    const deficit = new Deficit();
    let told = 0;
    for (let nowMs = 0; nowMs < 3000; nowMs += 40) {
      const shown = visible ? Math.floor((nowMs * framesPerS) / 1000) : undefined;
      if (deficit.handleTick({ nowMs, shown, frameIntervalMs: 33.3 })) told += 1;
    }
    return told;
  };
  assert.equal(tell(30, true), 0);
  assert.equal(tell(25, true), 0);
  assert.ok(tell(12, true) >= 3);
  assert.equal(tell(12, false), 0);
});
