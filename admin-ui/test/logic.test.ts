import { describe, expect, test } from 'vitest';
import {
  ago,
  bits,
  bytes,
  codecName,
  duration,
  parseLabels,
  parseLimit,
  showLabels,
} from '../src/lib/format';
import { appended, type Point } from '../src/lib/health';
import { byNode } from '../src/screens/stream_viewers';

describe('numbers and times', () => {
  test('rates and sizes are scaled', () => {
    expect([0, 999, 1_500, 2_540_000, 25_400_000_000].map(bits)).toEqual([
      '0 bit/s',
      '999 bit/s',
      '1.50 kbit/s',
      '2.54 Mbit/s',
      '25.4 Gbit/s',
    ]);
    expect(bytes(999_700)).toBe('1.00 MB');
  });

  test('how long ago is told coarsely, and by the date where it is long', () => {
    const now = Date.parse('2027-01-15T08:00:00Z');
    expect(ago('2027-01-15T07:59:40Z', now)).toBe('just now');
    expect(ago('2027-01-15T07:55:00Z', now)).toBe('5 minutes ago');
    expect(ago('2027-01-14T08:00:00Z', now)).toBe('yesterday');
    expect(ago('2026-01-14T08:00:00Z', now)).toContain('2026');
  });
});

describe('how long and where', () => {
  test('a duration is told by its two largest units', () => {
    expect([0, 59, 60, 61, 3_600, 12_000, 90_061].map(duration)).toEqual([
      '0 s',
      '59 s',
      '1 min',
      '1 min 1 s',
      '1 h',
      '3 h 20 min',
      '1 d 1 h',
    ]);
  });

  test('viewers are counted by node, the busiest first', () => {
    expect(byNode({ b: 1, a: 1, c: 2 })).toEqual([
      ['c', 2],
      ['a', 1],
      ['b', 1],
    ]);
  });
});

describe('what is typed', () => {
  test('labels read back, and a line that is none is refused', () => {
    const labels = { room: 'a b', empty: '' };
    expect(parseLabels(`${showLabels(labels)}\n\n`)).toEqual(labels);
    expect(parseLabels('room')).toBeUndefined();
    expect(parseLabels('=x')).toBeUndefined();
  });

  test('a limit is a whole number or nothing', () => {
    expect([' 12 ', '', '1.5', '-1', 'x', '9'.repeat(20)].map(parseLimit)).toEqual([
      12,
      null,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('codecs are called as people call them', () => {
    expect(['avc1.64001f', 'hvc1.1.6.L93', 'mp4a.40.2', 'xyz1'].map(codecName)).toEqual([
      'H.264',
      'H.265',
      'AAC',
      'xyz1',
    ]);
  });
});

test('a graph keeps its last five minutes', () => {
  const point = (at: number): Point => ({
    at,
    bitrate: 0,
    fps: null,
    gop: null,
    skew: null,
    drift: null,
    viewers: 0,
    drops: 0,
    latency: null,
    viewersLatency: null,
  });
  let points: readonly Point[] = [];
  for (let at = 0; at < 500; at += 1) points = appended(points, point(at));
  expect([points.length, points[0]?.at, points.at(-1)?.at]).toEqual([150, 350, 499]);
});
