import { expect, it } from 'vitest';
import type { Permission } from '../api/types';
import { forRun, lackFor } from './permission';

const having = (...allowed_actions: Permission[]) => ({ allowed_actions });

it('lacks nothing that its role allows', () => {
  expect(lackFor(having('own', 'read', 'drill'), 'start_drill', 'list_drills')).toBeNull();
});

it('says what is lacking, and who has it', () => {
  expect(lackFor(having('own', 'read'), 'list_drills', 'commit_failover')).toEqual({
    permission: 'recover',
    roles: ['operator', 'admin'],
  });
});

it('lacks everything where nothing is allowed', () => {
  expect(lackFor(having(), 'show_session')?.permission).toBe('own');
});

it('needs what a failover needs for a run that moves production, and not to release its steps', () => {
  const driller = having('own', 'read', 'drill');
  expect(lackFor(driller, ...forRun('start_plan_run', 'drill'))).toBeNull();
  expect(lackFor(driller, ...forRun('start_plan_run', 'emergency'))?.permission).toBe('recover');
  expect(lackFor(driller, ...forRun('cancel_plan_run', 'planned'))?.permission).toBe('recover');
  expect(lackFor(having('approve'), ...forRun('approve_plan_step', 'planned'))).toBeNull();
});
