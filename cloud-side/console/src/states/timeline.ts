/** What a group's timeline draws: places on a line of time, what its points cover, and the point of an instant. Pure. */
import type { Point } from '../api/types';

/** A stretch of time, in milliseconds. */
export interface Stretch {
  from: number;
  to: number;
}

/** Newest first, each once, as the API lists them: what was read before and what is new since. */
export function merged(newer: Point[], older: Point[]): Point[] {
  const known = new Set(newer.map((point) => point.id));
  return [...newer, ...older.filter((point) => !known.has(point.id))];
}

/** Whether two readings of a list meet, so that nothing between them is missing. */
export function meet(newer: Point[], older: Point[]): boolean {
  if (newer.length === 0 || older.length === 0) return true;
  const known = new Set(older.map((point) => point.id));
  return newer.some((point) => known.has(point.id));
}

/** The newest of points, newest first, that is not after an instant; null if there is none among them. */
export function pointAt(points: Point[], instant: number): Point | null {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timeOf(points[middle]) <= instant) high = middle;
    else low = middle + 1;
  }
  return points[low] ?? null;
}

function timeOf(point: Point | undefined): number {
  return point ? Date.parse(point.time) : Number.NEGATIVE_INFINITY;
}

/**
 * The times whose state can be had back: each point stands for the time from it to what it covers. Holes too
 * short to be seen at this scale are closed, longer ones never.
 */
export function covered(points: Point[], { from, to }: Stretch, smallest: number): Stretch[] {
  const made: Stretch[] = [];
  for (let at = points.length - 1; at >= 0; at -= 1) {
    const point = points[at];
    if (!point) continue;
    const [begin, end] = [
      Date.parse(point.time),
      Math.max(Date.parse(point.covers_until), Date.parse(point.time)),
    ];
    if (end < from || begin > to) continue;
    const last = made.at(-1);
    if (last && begin - last.to <= smallest) last.to = Math.max(last.to, end);
    else made.push({ from: begin, to: end });
  }
  return made.map((stretch) => ({ from: Math.max(stretch.from, from), to: Math.min(stretch.to, to) }));
}

/** The longest time in which no point could be had, between the first and the last of them; null without any. */
export function longestHole(points: Point[], within: Stretch): Stretch | null {
  const parts = covered(points, within, 0);
  let longest: Stretch | null = null;
  for (let at = 1; at < parts.length; at += 1) {
    const [before, after] = [parts[at - 1], parts[at]];
    if (!before || !after) continue;
    const hole = { from: before.to, to: after.from };
    if (!longest || hole.to - hole.from > longest.to - longest.from) longest = hole;
  }
  return longest;
}

/** How wide the drawing is, in its own units. */
export const WIDTH = 1000;

export function place(time: number, { from, to }: Stretch): number {
  return to > from ? (WIDTH * (time - from)) / (to - from) : 0;
}

/** Marks thinned to what can be told apart: of those that fall on one place only the first is drawn. */
export function apart<Item>(items: Item[], at: (item: Item) => number, within: Stretch): Item[] {
  const taken = new Set<number>();
  return items.filter((item) => {
    const time = at(item);
    if (time < within.from || time > within.to) return false;
    const spot = Math.round(place(time, within));
    if (taken.has(spot)) return false;
    taken.add(spot);
    return true;
  });
}

/** The stretch that is shown: so long, ending at `end`, but not before the first point. */
export function shownStretch(length: number | null, end: number, oldest: number): Stretch {
  const from = length === null ? oldest : Math.max(oldest, end - length);
  // A group that was just made has no width yet.
  return { from: Math.min(from, end - 60_000), to: end };
}

/** A line of values over time, in pieces where something is not known or nobody looked. */
export function linePath(
  at: number[],
  values: (number | null)[],
  within: Stretch,
  height: number,
): { path: string; highest: number } {
  const inside = at.map((seconds) => seconds * 1000 >= within.from && seconds * 1000 <= within.to);
  const highest = Math.max(0, ...values.map((value, index) => (inside[index] ? (value ?? 0) : 0)));
  let path = '';
  let drawing = false;
  at.forEach((seconds, index) => {
    const value = values[index] ?? null;
    if (!inside[index] || value === null) {
      drawing = false;
      return;
    }
    const x = place(seconds * 1000, within).toFixed(1);
    const y = (height - 1 - (highest > 0 ? value / highest : 0) * (height - 3)).toFixed(1);
    path += `${drawing ? 'L' : 'M'}${x} ${y}`;
    drawing = true;
  });
  return { path, highest };
}
