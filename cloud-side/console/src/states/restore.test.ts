import { expect, it } from 'vitest';
import type { PlacementStep, Restore, Step } from '../api/types';
import { restoreSteps, shareDone, volumesAre } from './restore';

const at = (step: Step, part: Partial<Restore> = {}) =>
  volumesAre({ step, end: null, set_aside: false, ...part });
const step = (name: string) =>
  ({ step: name, outcome: 'done', attempts: 1, began_at: '2026-11-23T00:00:00Z' }) as PlacementStep;
const restore = (part: object) =>
  ({ turned_back: false, end: null, steps: [], ...part }) as unknown as Restore;

it('says that the machine may be started only once the volumes were seen being served', () => {
  expect(at('boot_home')).toBe('unknown');
  expect(at('resume_forward')).toBe('served');
  expect(at('restore_disks')).toBe('not_served');
  expect(at('put_back_disks')).toBe('not_served');
  expect(at('drain_source')).toBe('no_writes');
});

it('knows nothing of volumes whose restore a failover set aside or ended', () => {
  expect(at('restore_disks', { set_aside: true })).toBe('unknown');
  expect(at('restore_disks', { end: 'failed_over' })).toBe('unknown');
  expect(at('resume_forward', { end: 'unprotected' })).toBe('unknown');
});

it('says that a restore which failed or was cancelled changed nothing', () => {
  expect(at('inspect_home', { end: 'failed' })).toBe('as_before');
  expect(at('resume_forward', { end: 'restored' })).toBe('served');
});

it('shows what is to come, but not on the way back', () => {
  const on = restoreSteps(restore({ steps: [step('precheck'), step('quiesce_source')] }));
  expect(on.map((shown) => shown.step).slice(-2)).toEqual(['boot_home', 'resume_forward']);
  expect(on.filter((shown) => shown.record === null)).toHaveLength(8);
  const back = restoreSteps(
    restore({ steps: [step('restore_disks'), step('put_back_disks')], turned_back: true }),
  );
  expect(back.every((shown) => shown.record !== null)).toBe(true);
});

it('has no share of what has no size', () => {
  expect(shareDone(null)).toBeNull();
  expect(shareDone({ done_bytes: 0, total_bytes: 0 })).toBeNull();
  expect(shareDone({ done_bytes: 50, total_bytes: 200 })).toBe(0.25);
});
