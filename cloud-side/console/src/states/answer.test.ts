import { expect, it } from 'vitest';
import type { PlacementState, ReplicationState } from '../api/types';
import { answer, isWell, within } from './answer';
import { TONES } from './tones';

const well = {
  placement: 'source_active' as PlacementState,
  replication: { state: 'continuous' as ReplicationState },
  rpo_known: true,
  health: { level: 'ok' as const, reasons: [] as { code: string; detail: string }[] },
};

it('says yes only when everything is known and good', () => {
  expect(answer(well)).toEqual({ code: 'protected', tone: 'good' });
  expect(answer({ ...well, rpo_known: false }).tone).toBe('unknown');
  expect(answer({ ...well, placement: null }).tone).toBe('unknown');
  const damaged = { level: 'critical' as const, reasons: [{ code: 'replica_damaged', detail: 'x' }] };
  expect(answer({ ...well, health: damaged })).toEqual({ code: 'damaged', tone: 'bad' });
  const partly = { level: 'warning' as const, reasons: [{ code: 'volume_not_followed', detail: 'x' }] };
  expect(answer({ ...well, health: partly })).toEqual({ code: 'partly', tone: 'warn' });
});

it('is green for no other placement and no other replication', () => {
  for (const placement of Object.keys(TONES.placement) as PlacementState[]) {
    if (placement !== 'source_active')
      expect(answer({ ...well, placement }).tone, placement).not.toBe('good');
  }
  for (const state of Object.keys(TONES.replication) as ReplicationState[]) {
    if (state !== 'continuous')
      expect(answer({ ...well, replication: { state } }).tone, state).not.toBe('good');
  }
});

it('tells production at the target that home follows from one that nothing follows', () => {
  expect(answer({ ...well, placement: 'target_active' }).code).toBe('at_target');
  expect(answer({ ...well, placement: 'reversing' }).code).toBe('at_target');
  expect(answer({ ...well, placement: 'reverse_protected' }).code).toBe('home_follows');
});

it('names a split brain before anything else', () => {
  const worst = {
    ...well,
    placement: 'split_brain_suspected' as const,
    replication: { state: 'stalled' as const },
  };
  expect(answer(worst).code).toBe('split');
});

it('does not call lost what is only not known yet', () => {
  const silent = { ...well, replication: { state: 'disconnected' as const } };
  expect(answer({ ...silent, health: { level: 'unknown', reasons: [] } }).tone).toBe('unknown');
  expect(answer({ ...silent, health: { level: 'critical', reasons: [] } }).tone).toBe('bad');
});

it('lets no part of a group be green while the group is not', () => {
  expect(within(well, 'good')).toBe('good');
  expect(within({ ...well, placement: 'target_active' }, 'good')).toBe('warn');
  expect(within({ ...well, placement: null }, 'good')).toBe('unknown');
  // What is bad for itself stays bad.
  expect(within({ ...well, placement: 'target_active' }, 'bad')).toBe('bad');
  expect(isWell(well)).toBe(true);
  expect(isWell({ ...well, placement: 'target_active' })).toBe(false);
});
