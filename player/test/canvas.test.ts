import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Drawn } from '../src/canvas/drawn';
import { Pace } from '../src/canvas/pace';
import { decoderDescription, samplesOf } from '../src/canvas/samples';

function box(type: string, ...parts: (number[] | Uint8Array)[]): Uint8Array {
  const size = 8 + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, size);
  for (let n = 0; n < 4; n++) bytes[4 + n] = type.charCodeAt(n);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function init(entry: Uint8Array): Uint8Array {
  const stsd = box('stsd', [0, 0, 0, 0, 0, 0, 0, 1], entry);
  return box('moov', box('trak', box('mdia', box('minf', box('stbl', stsd)))));
}

test('decoders get the record of their codec', () => {
  const zeros = (count: number) => new Array<number>(count).fill(0);
  const avc = init(box('avc1', zeros(78), box('pasp', zeros(8)), box('avcC', [1, 0x42, 0xc0, 0x1e])));
  assert.deepEqual([...(decoderDescription(avc) ?? [])], [1, 0x42, 0xc0, 0x1e]);
  const esds = box('esds', zeros(4), [3, 22, 0, 1, 0], [4, 0x80, 17, ...zeros(13)], [5, 2, 0x11, 0x90]);
  assert.deepEqual([...(decoderDescription(init(box('mp4a', zeros(28), esds))) ?? [])], [0x11, 0x90]);
  const flac = init(box('fLaC', zeros(28), box('dfLa', zeros(4), [0x80, 0, 0, 1, 7])));
  assert.deepEqual([...(decoderDescription(flac) ?? [])], [0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 1, 7]);
  assert.equal(decoderDescription(init(box('av01', zeros(78)))), undefined);
});

test('damaged records are refused, not read past', () => {
  assert.throws(() => decoderDescription(box('moov')), /no trak/);
  assert.throws(() => decoderDescription(init(box('avc1', [0, 0]))), /box of 2 bytes/);
  const esds = box('esds', [0, 0, 0, 0, 3]);
  assert.throws(
    () => decoderDescription(init(box('mp4a', new Array<number>(28).fill(0), esds))),
    /cut short/,
  );
});

test('samples are cut by their sizes', () => {
  const trun = box('trun', [0, 0, 2, 1], [0, 0, 0, 2], [0, 0, 0, 9], [0, 0, 0, 1], [0, 0, 0, 2]);
  const chunk = (run: Uint8Array) =>
    Uint8Array.from([...box('moof', box('traf', run)), ...box('mdat', [7, 8, 9])]);
  assert.deepEqual(
    samplesOf(chunk(trun)).map((sample) => [...sample]),
    [[7], [8, 9]],
  );
  const single = box('trun', [0, 0, 2, 1], [0, 0, 0, 1], [0, 0, 0, 9], [0, 0, 0, 3]);
  assert.deepEqual(
    samplesOf(chunk(single)).map((sample) => [...sample]),
    [[7, 8, 9]],
  );
});

test('sound follows on without holes, behind the clock by the target', () => {
  const pace = new Pace(0.1);
  assert.equal(pace.mediaAt(5), undefined);
  assert.ok(Math.abs((pace.place(100, 5) ?? 0) - 5.1) < 1e-9);
  assert.ok(Math.abs((pace.place(100.02, 5.03) ?? 0) - 5.12) < 1e-9);
  assert.ok(Math.abs((pace.mediaAt(5.1) ?? 0) - 100) < 1e-9);
});

test('late sound is a stall and raises the target, sound far ahead is left out once', () => {
  const pace = new Pace(0.1);
  pace.place(100, 5);
  const late = pace.place(100.02, 6) ?? 0;
  assert.equal(pace.stalls, 1);
  assert.ok(Math.abs(late - 6.15) < 1e-9);
  assert.equal(pace.place(101, 6), undefined);
  assert.ok((pace.place(101.02, 6) ?? 0) < 6.3);
});

test('the time in which the picture stands still is told apart, and not counted where it should', () => {
  const drawn = new Drawn();
  drawn.handleTurn(0, true);
  drawn.handleTurn(100, true);
  assert.equal(drawn.playedMs + drawn.stalledMs, 0); // no picture yet
  for (let ms = 100; ms < 1100; ms += 100) {
    drawn.handleFrame(ms, ms === 100 ? 900 : 40);
    drawn.handleTurn(ms, true);
  }
  assert.deepEqual([drawn.frames, drawn.firstAtMs, drawn.latencyMs, drawn.fps(1000)], [10, 100, 40, 5]);
  assert.equal(drawn.stalledMs, 0);
  const { playedMs } = drawn;
  for (let ms = 1100; ms <= 2000; ms += 100) drawn.handleTurn(ms, ms <= 1800);
  assert.equal(drawn.playedMs - playedMs, 400); // goes on counts until 500 ms after the last frame
  assert.equal(drawn.stalledMs, 400); // 1500 to 1800; the rest is meant to stand still
});
