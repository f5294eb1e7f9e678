import { expect, it } from 'vitest';
import type { Group } from '../api/types';
import { addSample, type Sample, sampleOf, series } from './samples';

const sample = (at: number, written: number | null, rpo: number | null = 1): Sample => ({
  at,
  rpo,
  written,
  spooled: 0,
  journal: 0,
});

it('makes rates of counters', () => {
  expect(series([sample(1000, 0), sample(3000, 4096)]).rate).toEqual([null, 2048]);
});

it('does not make a rate of a counter that began anew, or that is not known', () => {
  expect(series([sample(1000, 9000), sample(3000, 10)]).rate).toEqual([null, null]);
  expect(series([sample(1000, null), sample(3000, 10)]).rate).toEqual([null, null]);
});

it('leaves a gap where nothing was heard', () => {
  const made = series([sample(1000, 0), sample(60_000, 4096)]);
  expect(made.at).toEqual([1, 1.001, 60]);
  expect(made.rpo).toEqual([1, null, 1]);
  expect(made.rate).toEqual([null, null, null]);
});

it('keeps one sample of a poll that two queries saw, and forgets the oldest', () => {
  let list = addSample([], sample(1000, 0));
  list = addSample(list, sample(1200, 0));
  expect(list).toHaveLength(1);
  for (let index = 1; index < 1000; index += 1) list = addSample(list, sample(1000 + index * 2000, 0));
  expect(list).toHaveLength(600);
  expect(list.at(-1)?.at).toBe(1000 + 999 * 2000);
});

it('takes nothing unknown for zero', () => {
  const silent = {
    rpo_known: false,
    rpo_seconds: 0,
    volumes: [{ written_bytes: 5 }, { written_bytes: null }],
    capture: {},
  } as unknown as Group;
  expect(sampleOf(silent, 1)).toEqual({ at: 1, rpo: null, written: null, spooled: null, journal: null });
});
