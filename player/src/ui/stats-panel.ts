/** The statistics as people read them, and the latency of the last minute as a line. */

import type { Stats } from '../engine';

const SAMPLES = 120; // one each half second: a minute

export const STATS_ROWS = {
  latency: 'Latency',
  buffer: 'Buffer',
  rate: 'Speed',
  bitrate: 'Bit rate',
  picture: 'Picture',
  fps: 'Frames/s',
  shown: 'Frames shown',
  dropped: 'Dropped',
  gaps: 'Gaps',
  stalls: 'Stalls',
  node: 'Node',
} as const;

export type StatsRow = keyof typeof STATS_ROWS;

export function statsText(stats: Stats): Record<StatsRow, string> {
  const { latencyMs, bitrateBps, width, height } = stats;
  return {
    latency: latencyMs === undefined ? '–' : `${Math.round(latencyMs)} ms`,
    buffer: `${Math.round(stats.bufferMs)} / ${Math.round(stats.targetMs)} ms`,
    rate: `${stats.rate.toFixed(2)} ×`,
    bitrate: bitrateBps > 0 ? bits(bitrateBps) : '–',
    picture: width > 0 ? `${width} × ${height}` : '–',
    fps: stats.fps.toFixed(1),
    shown: `${stats.framesShown}`,
    dropped: `${stats.framesDropped}`,
    gaps: stats.framesLost > 0 ? `${stats.gaps} (${stats.framesLost} frames)` : `${stats.gaps}`,
    stalls: `${stats.stalls}`,
    node: stats.node ?? '–',
  };
}

export function bits(bps: number): string {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`;
}

/** Round numbers for the top of the graph. */
export function graphTop(values: readonly number[]): number {
  const most = Math.max(0, ...values);
  return [100, 200, 500, 1000, 2000, 5000, 10_000].find((top) => most <= top) ?? 60_000;
}

export class LatencyGraph {
  #values: number[] = [];

  push(latencyMs: number): void {
    this.#values.push(latencyMs);
    if (this.#values.length > SAMPLES) this.#values.shift();
  }

  /** Returns what the top edge stands for, ms. */
  draw(canvas: HTMLCanvasElement): number {
    const top = graphTop(this.#values);
    const context = canvas.getContext('2d');
    if (!context) return top;
    const { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    context.strokeStyle = 'rgb(255 255 255 / 18%)';
    context.lineWidth = 1;
    for (const share of [0, 0.5, 1]) {
      const y = 0.5 + Math.round(share * (height - 1));
      context.strokeRect(0, y, width, 0);
    }
    context.strokeStyle = '#7cc4ff';
    context.lineWidth = 3;
    context.beginPath();
    const from = SAMPLES - this.#values.length;
    for (const [at, value] of this.#values.entries()) {
      context.lineTo(((from + at) / (SAMPLES - 1)) * width, height - 2 - (value / top) * (height - 4));
    }
    context.stroke();
    return top;
  }
}
