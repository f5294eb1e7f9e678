import { expect, it } from 'vitest';
import type { Failback, Failover, PlacementStep } from '../api/types';
import { failbackSteps, failoverSteps } from './steps';

const step = (name: string, outcome: string | null = 'done') =>
  ({ step: name, outcome, attempts: 1, began_at: '2026-11-23T00:00:00Z' }) as PlacementStep;
const failover = (part: object) =>
  ({ mode: 'planned', steps: [], turned_back: false, end: null, ...part }) as unknown as Failover;
const failback = (part: object) =>
  ({ seed: 'original_disk', steps: [], turned_back: false, end: null, ...part }) as unknown as Failback;
const names = (steps: { step: string; record: unknown }[]) =>
  steps.map(({ step: name, record }) => (record ? name : `(${name})`));

it('shows what is to come', () => {
  const shown = names(failoverSteps(failover({ steps: [step('precheck'), step('probe_source', null)] })));
  expect(shown.slice(0, 4)).toEqual(['precheck', 'probe_source', '(quiesce_source)', '(drain_source)']);
  expect(shown.at(-1)).toBe('(await_commit)');
});

it('does not announce that an emergency failover asks the source', () => {
  const shown = names(failoverSteps(failover({ mode: 'emergency' })));
  expect(shown).not.toContain('(quiesce_source)');
  expect(shown).not.toContain('(drain_source)');
});

it('announces nothing of a way that is over or leads back', () => {
  const steps = [step('precheck'), step('fence'), step('stop_instance', null)];
  expect(names(failoverSteps(failover({ steps, turned_back: true })))).toEqual([
    'precheck',
    'fence',
    'stop_instance',
  ]);
  expect(names(failoverSteps(failover({ steps, end: 'failed' })))).toEqual([
    'precheck',
    'fence',
    'stop_instance',
  ]);
});

it('goes on behind the furthest step, also when rounds are made again', () => {
  const steps = [step('between_rounds'), step('compare_digests', 'failed'), step('copy_round', null)];
  expect(names(failbackSteps(failback({ steps }))).slice(3)).toEqual([
    '(fence_home)',
    '(boot_home)',
    '(await_commit)',
    '(resume_forward)',
  ]);
});

it('keeps what was left behind of the original disk only', () => {
  expect(names(failbackSteps(failback({})))).toContain('(keep_left_behind)');
  expect(names(failbackSteps(failback({ seed: 'blank_disk' })))).not.toContain('(keep_left_behind)');
});
