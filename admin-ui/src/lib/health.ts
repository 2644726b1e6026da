/** What a stream told over the last minutes, for graphs. */

import { useEffect, useState } from 'react';
import type { Stream } from '../api/client';

/** Five minutes of one each two seconds. */
const POINTS_MAX = 150;

export interface Point {
  at: number;
  bitrate: number;
  fps: number | null;
  gop: number | null;
  skew: number | null;
  drift: number | null;
  viewers: number;
  drops: number;
  latency: number | null;
  /** Of the viewers, as their players tell it. */
  viewersLatency: number | null;
}

export function pointOf(stream: Stream, latency: number | undefined, at: number): Point {
  return {
    at,
    bitrate: stream.bitrate,
    fps: stream.fps ?? null,
    gop: stream.gop_s ?? null,
    skew: stream.skew_ms ?? null,
    drift: stream.drift_ms ?? null,
    viewers: stream.viewers,
    drops: stream.dropped_frames,
    latency: latency ?? null,
    viewersLatency: stream.qoe?.latency_ms_p50 ?? null,
  };
}

export const appended = (points: readonly Point[], point: Point): readonly Point[] =>
  [...points, point].slice(-POINTS_MAX);

/** A point for each answer while the stream runs. */
export function useHealth(stream: Stream, updatedAt: number, latency: { current: number | undefined }) {
  const [points, setPoints] = useState<readonly Point[]>([]);
  const isRunning = stream.state === 'live' || stream.state === 'stalled';
  // biome-ignore lint/correctness/useExhaustiveDependencies: one point for each answer, whatever it says
  useEffect(() => {
    if (!isRunning) return;
    setPoints((before) => appended(before, pointOf(stream, latency.current, updatedAt / 1000)));
  }, [updatedAt, isRunning]);
  return points;
}
