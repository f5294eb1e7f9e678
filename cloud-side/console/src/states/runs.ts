/** Runs of plans: what of them waits for somebody, and how long they have been going. */
import type { PlanRun, PlanRunState } from '../api/types';

const OVER: ReadonlySet<PlanRunState> = new Set(['succeeded', 'succeeded_in_part', 'cancelled']);

export function isOver(run: Pick<PlanRun, 'state'>): boolean {
  return OVER.has(run.state);
}

/** Whether a run touches production. */
export function frameOf(mode: PlanRun['mode']): 'test' | 'live' {
  return mode === 'drill' ? 'test' : 'live';
}

/** How long a run has been going, or went, in seconds. */
export function ranFor(run: Pick<PlanRun, 'began_at' | 'ended_at'>, now: number): number {
  const end = run.ended_at ? Date.parse(run.ended_at) : now;
  return Math.max(0, (end - Date.parse(run.began_at)) / 1000);
}

/** How many steps are settled, of those that are to be run. */
export function settled(run: Pick<PlanRun, 'steps'>): { done: number; of: number } {
  const asked = run.steps.filter((step) => step.state !== 'not_run');
  return {
    done: asked.filter((step) => step.state === 'done' || step.state === 'skipped').length,
    of: asked.length,
  };
}
