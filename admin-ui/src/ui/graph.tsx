/** A small line over time, drawn by uPlot on a canvas. */

import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  /** Unix seconds. */
  times: readonly number[];
  values: readonly (number | null)[];
}

interface GraphProps {
  name: string;
  now: string;
  series: Series;
  /** Says the numbers of the scale. */
  show: (value: number) => string;
  /** What the scale holds at least. */
  atLeast?: number;
}

const AXIS_PX = 74;
const FONT = '11px system-ui, sans-serif';

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { line: of('--accent'), text: of('--muted'), grid: of('--line') };
}

export function Graph({ name, now, series, show, atLeast = 1 }: GraphProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const shown = useRef(show);
  shown.current = show;
  const latest = useRef(series);
  latest.current = series;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const data = () => [[...latest.current.times], [...latest.current.values]] as uPlot.AlignedData;
    const make = () => {
      plot.current?.destroy();
      const { line, text, grid } = colours();
      const axis = { stroke: text, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
      const options: uPlot.Options = {
        width: element.clientWidth,
        height: element.clientHeight,
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 4, 0, 0],
        scales: {
          x: { time: true },
          y: {
            range: (_, low, high) => {
              const floor = Math.min(0, low ?? 0);
              return [floor < 0 ? floor * 1.2 : 0, Math.max(atLeast, (high ?? 0) * 1.2)];
            },
          },
        },
        axes: [
          { ...axis, size: 20, gap: 3, space: 90, values: (_, ticks) => ticks.map(minute) },
          {
            ...axis,
            size: AXIS_PX,
            gap: 4,
            space: 32,
            values: (_, ticks) => ticks.map((at) => shown.current(at)),
          },
        ],
        series: [{}, { stroke: line, width: 2, fill: `${line}1f`, points: { show: false }, spanGaps: false }],
      };
      plot.current = new uPlot(options, data(), element);
    };
    make();
    const size = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    size.observe(element);
    window.addEventListener('weir-theme', make);
    return () => {
      size.disconnect();
      window.removeEventListener('weir-theme', make);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [atLeast]);
  useEffect(() => {
    plot.current?.setData([[...series.times], [...series.values]] as uPlot.AlignedData);
  }, [series]);
  return (
    <figure className="graph">
      <figcaption>
        <span>{name}</span>
        <b>{now}</b>
      </figcaption>
      <div className="graph-canvas" ref={box} aria-hidden="true" data-points={series.times.length} />
    </figure>
  );
}

const minute = (at: number): string => {
  const time = new Date(at * 1000);
  return `${time.getHours()}:${String(time.getMinutes()).padStart(2, '0')}`;
};
