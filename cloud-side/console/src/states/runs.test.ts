import { expect, it } from 'vitest';
import type { PlanRun } from '../api/types';
import { frameOf, isOver, ranFor, settled } from './runs';

const began_at = '2026-11-23T00:00:00Z';
const steps = (...states: string[]) => ({ steps: states.map((state) => ({ state })) }) as unknown as PlanRun;

it('counts until the end, and until now while there is none', () => {
  expect(ranFor({ began_at, ended_at: '2026-11-23T00:01:00Z' }, Date.parse('2027-01-01T00:00:00Z'))).toBe(60);
  expect(ranFor({ began_at, ended_at: null }, Date.parse('2026-11-23T00:00:05Z'))).toBe(5);
  expect(ranFor({ began_at, ended_at: null }, Date.parse('2026-11-22T00:00:00Z'))).toBe(0);
});

it('calls everything that is no drill live', () => {
  expect([frameOf('drill'), frameOf('planned'), frameOf('emergency')]).toEqual(['test', 'live', 'live']);
});

it('does not take a run that somebody has to decide for one that is over', () => {
  expect(isOver({ state: 'paused' })).toBe(false);
  expect(isOver({ state: 'awaiting_approval' })).toBe(false);
  expect(isOver({ state: 'succeeded_in_part' })).toBe(true);
});

it('counts no step that was left out, and none that failed as settled', () => {
  expect(settled(steps('done', 'skipped', 'failed', 'waiting', 'not_run'))).toEqual({ done: 2, of: 4 });
});
