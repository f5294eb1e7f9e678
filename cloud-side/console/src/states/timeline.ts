/** What a group's timeline draws: places on a line of time, what its points cover, and the point of an instant. Pure. */
import type { Point } from '../api/types';

/** A stretch of time, in milliseconds. */
export interface Stretch {
  from: number;
  to: number;
}

/**
 * Points, newest first, with their times read once: a group may have a hundred thousand of them, and what is drawn of
 * them is worked out each second.
 */
export interface Track {
  points: Point[];
  /** Milliseconds, of the point at the same place. */
  time: Float64Array;
  /** What it covers; never before its time. */
  until: Float64Array;
}

export function trackOf(points: Point[]): Track {
  const time = Float64Array.from(points, (point) => Date.parse(point.time));
  const until = Float64Array.from(points, (point, at) =>
    Math.max(Date.parse(point.covers_until), time[at] ?? 0),
  );
  return { points, time, until };
}

/** Newest first, each once, as the API lists them: what was read before and what is new since. */
export function merged(newer: Track, older: Track): Track {
  const known = new Set(newer.points.map((point) => point.id));
  const kept = older.points.map((point) => !known.has(point.id));
  const is = (_: unknown, at: number) => kept[at] === true;
  return {
    points: [...newer.points, ...older.points.filter(is)],
    time: Float64Array.from([...newer.time, ...older.time.filter(is)]),
    until: Float64Array.from([...newer.until, ...older.until.filter(is)]),
  };
}

/** Those of a track that are wanted. */
export function picked({ points, time, until }: Track, is: (point: Point) => boolean): Track {
  const kept = points.map(is);
  const here = (_: unknown, at: number) => kept[at] === true;
  return { points: points.filter(here), time: time.filter(here), until: until.filter(here) };
}

/** Whether two readings of a list meet, so that nothing between them is missing. */
export function meet(newer: Point[], older: Point[]): boolean {
  if (newer.length === 0 || older.length === 0) return true;
  const known = new Set(older.map((point) => point.id));
  return newer.some((point) => known.has(point.id));
}

/** The newest of points, newest first, that is not after an instant; null if there is none among them. */
export function pointAt({ points, time }: Track, instant: number): Point | null {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((time[middle] ?? Number.NEGATIVE_INFINITY) <= instant) high = middle;
    else low = middle + 1;
  }
  return points[low] ?? null;
}

/**
 * The times whose state can be had back: each point stands for the time from it to what it covers. Holes too
 * short to be seen at this scale are closed, longer ones never.
 */
export function covered({ time, until }: Track, { from, to }: Stretch, smallest: number): Stretch[] {
  const made: Stretch[] = [];
  for (let at = time.length - 1; at >= 0; at -= 1) {
    const [begin, end] = [time[at] ?? 0, until[at] ?? 0];
    if (end < from || begin > to) continue;
    const last = made.at(-1);
    if (last && begin - last.to <= smallest) last.to = Math.max(last.to, end);
    else made.push({ from: begin, to: end });
  }
  return made.map((stretch) => ({ from: Math.max(stretch.from, from), to: Math.min(stretch.to, to) }));
}

/** The longest time in which no point could be had, between the first and the last of them; null without any. */
export function longestHole(track: Track, within: Stretch): Stretch | null {
  const parts = covered(track, within, 0);
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
export function apart<Item>(
  items: Item[],
  at: (item: Item, index: number) => number,
  within: Stretch,
): Item[] {
  const taken = new Set<number>();
  return items.filter((item, index) => {
    const time = at(item, index);
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

/**
 * The present, as far as a drawing of so long a stretch can show it: it moves on by what can be told apart, so that very
 * many points are not drawn anew for nothing.
 */
export function drawnNow(now: number, length: number): number {
  const grain = Math.max(1000, Math.floor(length / WIDTH));
  return Math.floor(now / grain) * grain;
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
