import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoxError, parseChunk, parseInit } from '../src/boxes';

const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const u64 = (value: number) => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];

function box(type: string, ...body: number[]): number[] {
  return [...u32(body.length + 8), ...[...type].map((char) => char.charCodeAt(0)), ...body];
}

const SYNC = 0x0200_0000;
const NON_SYNC = 0x0101_0000;
const NO_DEFAULTS = new Map();

interface Made {
  tfhd?: number[];
  trun?: number[];
  dts?: number;
}

const TFHD = box('tfhd', ...u32(0x02_0038), ...u32(7), ...u32(512), ...u32(10), ...u32(NON_SYNC));
const TRUN = box('trun', ...u32(0x0100_0805), ...u32(1), ...u32(0), ...u32(SYNC), ...u32(1024));

function moof({ tfhd = TFHD, trun = TRUN, dts = 2 ** 33 + 5 }: Made = {}): number[] {
  const tfdt = box('tfdt', ...u32(0x0100_0000), ...u64(dts));
  return box('moof', ...box('mfhd', ...u32(0), ...u32(1)), ...box('traf', ...tfhd, ...tfdt, ...trun));
}

const chunk = (...parts: number[][]) => Uint8Array.from(parts.flat());

test('a chunk tells its track, times and keyframe', () => {
  assert.deepEqual(parseChunk(chunk(moof(), box('mdat', 1, 2, 3)), NO_DEFAULTS), {
    trackId: 7,
    decodeTicks: 2 ** 33 + 5,
    presentTicks: 2 ** 33 + 5 + 1024,
    durationTicks: 512,
    samples: 1,
    keyframe: true,
  });
});

test('a wall clock in front is read as Unix microseconds', () => {
  const seconds = 1_700_000_000 + 2_208_988_800;
  const prft = box('prft', ...u32(0x0100_0000), ...u32(7), ...u32(seconds), ...u32(2 ** 31), ...u64(0));
  const { wallUs } = parseChunk(chunk(prft, moof(), box('mdat')), NO_DEFAULTS);
  assert.equal(wallUs, 1_700_000_000_500_000);
});

test('durations, flags and negative offsets of single samples are read', () => {
  const sample = (duration: number, flags: number, offset: number) =>
    [duration, 99, flags, offset].flatMap(u32);
  const trun = box(
    'trun',
    ...u32(0x0100_0f01),
    ...u32(2),
    ...u32(0),
    ...sample(500, NON_SYNC, -512),
    ...sample(12, SYNC, 0),
  );
  const read = parseChunk(chunk(moof({ trun, dts: 1000 }), box('mdat')), NO_DEFAULTS);
  assert.equal(read.presentTicks, 488);
  assert.equal(read.durationTicks, 512);
  assert.equal(read.samples, 2);
  assert.equal(read.keyframe, false);
});

test('what a fragment leaves out comes from the init segment', () => {
  const trex = box('trex', ...u32(0), ...u32(3), ...u32(1), ...u32(1024), ...u32(0), ...u32(SYNC));
  const init = chunk(box('ftyp'), box('moov', ...box('mvex', ...trex)));
  const defaults = parseInit(init);
  assert.deepEqual(defaults, [{ trackId: 3, durationTicks: 1024, flags: SYNC }]);
  const tfhd = box('tfhd', ...u32(0x02_0000), ...u32(3));
  const trun = box('trun', ...u32(0), ...u32(4));
  const read = parseChunk(
    chunk(moof({ tfhd, trun }), box('mdat')),
    new Map(defaults.map((trex) => [trex.trackId, trex])),
  );
  assert.equal(read.durationTicks, 4096);
  assert.equal(read.keyframe, true);
});

test('damaged chunks are refused, not misread', () => {
  const whole = chunk(moof(), box('mdat', 1));
  for (let length = 1; length < whole.length; length++) {
    assert.throws(() => parseChunk(whole.subarray(0, length), NO_DEFAULTS), BoxError, `${length} bytes`);
  }
  const cases = [
    chunk(box('mdat', 1)),
    chunk(box('moof'), box('mdat')),
    chunk(moof({ trun: [] }), box('mdat')),
    chunk(moof({ trun: box('trun', ...u32(0x100), ...u32(1e9)) }), box('mdat')),
    chunk(moof({ trun: box('trun', ...u32(0x100), ...u32(9)) }), box('mdat')),
    chunk([0, 0, 0, 4, 109, 111, 111, 102]),
  ];
  for (const [at, bytes] of cases.entries()) {
    assert.throws(() => parseChunk(bytes, NO_DEFAULTS), BoxError, `case ${at}`);
  }
  assert.throws(() => parseInit(chunk(box('ftyp'))), /no moov among ftyp/);
});
