/** What a restore in place is made of, for people who watch one. */
import type { Restore, RestoreProgress, Step } from '../api/types';
import { along, type ShownStep } from './steps';

const RESTORE: Step[] = [
  'precheck',
  'quiesce_source',
  'drain_source',
  'place_bookmark',
  'hold_home',
  'inspect_home',
  'restore_disks',
  'fence_home',
  'boot_home',
  'resume_forward',
];

export function restoreSteps({ steps, turned_back, end }: Restore): ShownStep[] {
  return along(RESTORE, steps, !turned_back && !end);
}

/** What may be used of the volumes now. */
export type Volumes = 'as_before' | 'no_writes' | 'not_served' | 'served' | 'unknown';

/** The steps in which the source serves nothing at all. */
const NOT_SERVED: ReadonlySet<Step> = new Set([
  'hold_home',
  'inspect_home',
  'restore_disks',
  'put_back_disks',
  'fence_home',
]);

/**
 * Whether the machine may be started is the question of everybody who waits for a restore. It is answered from
 * the step alone, and only by steps that this console knows.
 */
export function volumesAre({ step, end, set_aside }: Pick<Restore, 'step' | 'end' | 'set_aside'>): Volumes {
  if (set_aside) return 'unknown';
  switch (end) {
    case 'restored':
    case 'put_back':
      return 'served';
    case 'failed':
    case 'cancelled':
      return 'as_before';
    // A failover began meanwhile: its page says where production is.
    case 'unprotected':
    case 'failed_over':
      return 'unknown';
    case null:
    case undefined:
      break;
  }
  if (step === 'precheck') return 'as_before';
  if (step === 'resume_forward') return 'served';
  if (step === 'quiesce_source' || step === 'drain_source' || step === 'place_bookmark') return 'no_writes';
  if (NOT_SERVED.has(step)) return 'not_served';
  // On the last steps of either way the source is told to serve; until they are done nobody has seen it.
  return 'unknown';
}

/** 0 to 1; null while there is nothing to measure by. */
export function shareDone(progress: RestoreProgress | null | undefined): number | null {
  if (!progress || progress.total_bytes <= 0) return null;
  return Math.min(1, progress.done_bytes / progress.total_bytes);
}
