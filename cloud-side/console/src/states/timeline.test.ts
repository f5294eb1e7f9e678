import { describe, expect, it } from 'vitest';
import type { Point } from '../api/types';
import {
  apart,
  covered,
  drawnNow,
  linePath,
  longestHole,
  meet,
  merged,
  picked,
  pointAt,
  shownStretch,
  trackOf,
} from './timeline';

const point = (time: number, until = time): Point =>
  ({
    id: `1-${time}`,
    time: new Date(time).toISOString(),
    covers_until: new Date(until).toISOString(),
  }) as Point;
/** Newest first, as the API lists them. */
const points = [point(9000, 9500), point(5000, 6000), point(4000, 4900), point(1000, 2000)];
const track = trackOf(points);
const all = { from: 0, to: 10_000 };

describe('the point of an instant', () => {
  it('is the newest that is not after it', () => {
    expect(pointAt(track, 9000)?.id).toBe('1-9000');
    expect(pointAt(track, 8999)?.id).toBe('1-5000');
    expect(pointAt(track, 99_999)?.id).toBe('1-9000');
    expect(pointAt(track, 1000)?.id).toBe('1-1000');
  });

  it('is none before the first, and none of nothing', () => {
    expect(pointAt(track, 999)).toBeNull();
    expect(pointAt(trackOf([]), 5)).toBeNull();
  });

  it('is found among a hundred thousand as by looking at each', () => {
    const many = Array.from({ length: 100_000 }, (_, at) => point((100_000 - at) * 3));
    const tracked = trackOf(many);
    for (const instant of [3, 4, 150_000, 299_999, 300_000])
      expect(pointAt(tracked, instant)).toBe(many.find((one) => Date.parse(one.time) <= instant));
  });
});

describe('what points cover', () => {
  it('has the holes that can be seen', () => {
    expect(covered(track, all, 200)).toEqual([
      { from: 1000, to: 2000 },
      { from: 4000, to: 6000 },
      { from: 9000, to: 9500 },
    ]);
  });

  it('is cut to what is shown', () => {
    expect(covered(track, { from: 1500, to: 4500 }, 0)).toEqual([
      { from: 1500, to: 2000 },
      { from: 4000, to: 4500 },
    ]);
  });

  it('names its longest hole, and none where there is none', () => {
    expect(longestHole(track, all)).toEqual({ from: 6000, to: 9000 });
    expect(longestHole(trackOf(points.slice(0, 1)), all)).toBeNull();
  });
});

describe('readings of the list', () => {
  it('are one list without a point twice', () => {
    const made = merged(trackOf(points.slice(0, 2)), trackOf(points.slice(1)));
    expect(made).toEqual(track);
  });

  it('keep their times when some are picked', () => {
    const some = [points[1], points[3]];
    expect(picked(track, (one) => some.includes(one))).toEqual(trackOf(some as Point[]));
  });

  it('do not meet when points between them are missing', () => {
    expect(meet(points.slice(0, 2), points.slice(1))).toBe(true);
    expect(meet(points.slice(0, 1), points.slice(2))).toBe(false);
  });
});

it('draws one mark where several fall on one place', () => {
  const times = [100, 101, 5000, 20_000];
  expect(apart(times, (time) => time, all)).toEqual([100, 5000]);
});

it('shows no time before the first point, and at least a minute', () => {
  expect(shownStretch(3_600_000, 10_000_000, 9_000_000)).toEqual({ from: 9_000_000, to: 10_000_000 });
  expect(shownStretch(null, 10_000_000, 9_999_000)).toEqual({ from: 9_940_000, to: 10_000_000 });
});

it('breaks the line where the age was not known', () => {
  const { path, highest } = linePath([1, 2, 3, 4], [5, null, 10, 10], all, 23);
  expect(highest).toBe(10);
  expect(path).toBe('M100.0 12.0M300.0 2.0L400.0 2.0');
});

it('moves on by what can be told apart, and is never ahead', () => {
  expect(drawnNow(10_999, 600_000)).toBe(10_000);
  expect(drawnNow(7_199_999, 3_600_000_000)).toBe(3_600_000);
  expect(drawnNow(7_200_000, 3_600_000_000)).toBe(7_200_000);
});
