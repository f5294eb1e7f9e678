/** The steps that a failover or failback goes through, so that those to come can be shown before they begin. */
import type { Failback, Failover, PlacementStep, Step } from '../api/types';

const FAILOVER: Step[] = [
  'precheck',
  'probe_source',
  'quiesce_source',
  'drain_source',
  'fence',
  'pin_point',
  'create_branch',
  'boot_instance',
  'climb_rungs',
  'await_commit',
];

const PLANNED_ONLY: ReadonlySet<Step> = new Set(['quiesce_source', 'drain_source']);

const FAILBACK: Step[] = [
  'inspect_home',
  'await_seed',
  'hold_home',
  'keep_left_behind',
  'plan_seed',
  'copy_round',
  'between_rounds',
  'quiesce_target',
  'final_delta',
  'compare_digests',
  'fence_home',
  'boot_home',
  'await_commit',
  'resume_forward',
];

export interface ShownStep {
  step: Step;
  /** What became of it; null when it was not begun. */
  record: PlacementStep | null;
}

/** What was begun, as it was told, and then what the way still has, unless it is over or leads back. */
export function along(way: Step[], steps: PlacementStep[], goesOn: boolean): ShownStep[] {
  const begun = steps.map((record): ShownStep => ({ step: record.step, record }));
  if (!goesOn) return begun;
  const furthest = Math.max(-1, ...steps.map(({ step }) => way.indexOf(step)));
  return [...begun, ...way.slice(furthest + 1).map((step): ShownStep => ({ step, record: null }))];
}

export function failoverSteps({ mode, steps, turned_back, end }: Failover): ShownStep[] {
  const way = mode === 'planned' ? FAILOVER : FAILOVER.filter((step) => !PLANNED_ONLY.has(step));
  return along(way, steps, !turned_back && !end);
}

export function failbackSteps({ seed, steps, turned_back, end }: Failback): ShownStep[] {
  const way = seed === 'original_disk' ? FAILBACK : FAILBACK.filter((step) => step !== 'keep_left_behind');
  return along(way, steps, !turned_back && !end);
}
