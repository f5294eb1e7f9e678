/** A small line plot over time. What was not known is a gap. */
import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

interface Props {
  /** For screen readers: what it shows, and its newest value. */
  label: string;
  /** Seconds. */
  at: number[];
  values: (number | null)[];
  format: (value: number) => string;
  height?: number;
  /** How a time is written under the plot. */
  clock: (seconds: number) => string;
  /** The plot shows at least so many seconds. */
  least?: number;
  /** A bar for each value instead of a line through them. */
  bars?: boolean;
}

/** One sample has no width, and the library would show days around it. */
function padded(at: number[], values: (number | null)[], least: number): uPlot.AlignedData {
  const [only] = at;
  return at.length === 1 && only !== undefined
    ? [
        [only - least, only],
        [null, ...values],
      ]
    : [at, values];
}

/** What the axis of time reaches over: the present when there is nothing yet. */
function reach(min: number | null, max: number | null, least: number, bars: boolean): [number, number] {
  const end = max ?? Date.now() / 1000;
  const start = Math.min(min ?? end, end - least);
  // Half of a bar stands beyond its time.
  const room = bars ? (end - start) * 0.05 : 0;
  return [start - room, end + room];
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Plot({ label, at, values, format, clock, least = 60, height = 130, bars = false }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef({ at, values, format, clock, least });
  latest.current = { at, values, format, clock, least };
  const scheme = useComputedColorScheme('light');
  const { colorScheme } = useMantineColorScheme();

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of colours makes the plot anew
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const grid = { stroke: colour('--line'), width: 1 };
    const axis = {
      stroke: colour('--quiet'),
      grid,
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    };
    const made = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          x: { range: (_, min, max) => reach(min, max, latest.current.least, bars) },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1] },
        },
        axes: [
          {
            ...axis,
            size: 24,
            space: 90,
            values: (_, splits) => splits.map((split) => latest.current.clock(split)),
          },
          {
            ...axis,
            size: 76,
            space: 28,
            values: (_, splits) => splits.map((split) => latest.current.format(split)),
          },
        ],
        series: [
          {},
          {
            stroke: colour('--accent'),
            fill: colour('--accent-wash'),
            width: 1.5,
            points: { show: false },
            ...(bars ? { paths: uPlot.paths.bars?.({ size: [0.6, 26] }) } : {}),
          },
        ],
      },
      padded(latest.current.at, latest.current.values, latest.current.least),
      element,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() =>
      made.setSize({ width: Math.max(120, element.clientWidth), height }),
    );
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, colorScheme, height, bars]);

  useEffect(() => {
    plot.current?.setData(padded(at, values, least));
  }, [at, values, least]);

  return <div ref={holder} className="plot" role="img" aria-label={label} />;
}
