/**
 * What colour a state has. Each table names every state of the API: a state that is added there keeps this
 * file from compiling until somebody has decided. Rule: good is only what was observed to be good; what is
 * not known is never green.
 */
import type {
  AlertDeliveryState,
  AlertSeverity,
  AlertState,
  BranchState,
  DrillAxisState,
  DrillState,
  FailbackEnd,
  FailoverEnd,
  HealthLevel,
  IsolationVerdict,
  JobState,
  PhaseOutcome,
  PlacementState,
  PlanCheckVerdict,
  PlanRunState,
  PlanStepState,
  PrecheckVerdict,
  Readiness,
  ReadinessVerdict,
  ReplicationState,
  RestoreEnd,
  RungVerdict,
  SourceServing,
  Stage,
  StepOutcome,
  ViewState,
} from '../api/types';

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'unknown' | 'plain';

const health: Record<HealthLevel, Tone> = {
  ok: 'good',
  unknown: 'unknown',
  warning: 'warn',
  critical: 'bad',
};

const replication: Record<ReplicationState, Tone> = {
  unprotected: 'bad',
  initial_sync: 'busy',
  continuous: 'good',
  catching_up: 'warn',
  disconnected: 'bad',
  stalled: 'bad',
};

const placement: Record<PlacementState, Tone> = {
  source_active: 'good',
  // Its volumes take no writes meanwhile.
  restoring: 'warn',
  failing_over: 'busy',
  target_uncommitted: 'warn',
  // Production is well there, but nothing protects what it writes.
  target_active: 'warn',
  reversing: 'busy',
  reverse_protected: 'busy',
  failing_back: 'busy',
  source_uncommitted: 'warn',
  rolling_back: 'busy',
  split_brain_suspected: 'bad',
};

const drillAxis: Record<DrillAxisState, Tone> = {
  none: 'plain',
  preparing: 'busy',
  running: 'busy',
  cleaning: 'busy',
  cleanup_failed: 'bad',
};

const drill: Record<DrillState, Tone> = {
  queued: 'plain',
  preparing: 'busy',
  running: 'busy',
  cleaning: 'busy',
  passed: 'good',
  failed: 'bad',
  cancelled: 'plain',
  cleanup_failed: 'bad',
};

const job: Record<JobState, Tone> = {
  queued: 'plain',
  running: 'busy',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'plain',
  interrupted: 'warn',
};

const readiness: Record<Readiness, Tone> = { ready: 'good', not_ready: 'bad', unknown: 'unknown' };

const readinessVerdict: Record<ReadinessVerdict, Tone> = {
  pass: 'good',
  warn: 'warn',
  fail: 'bad',
  unknown: 'unknown',
};

const rungVerdict: Record<RungVerdict, Tone> = { passed: 'good', failed: 'bad', not_run: 'plain' };

const precheckVerdict: Record<PrecheckVerdict, Tone> = { passed: 'good', failed: 'bad', unknown: 'unknown' };

const isolation: Record<IsolationVerdict, Tone> = {
  isolated: 'good',
  not_isolated: 'bad',
  unknown: 'unknown',
};

const phaseOutcome: Record<PhaseOutcome, Tone> = { done: 'good', failed: 'bad', stopped: 'plain' };

const stepOutcome: Record<StepOutcome, Tone> = {
  done: 'good',
  failed: 'bad',
  abandoned: 'plain',
  overridden: 'warn',
};

const stage: Record<Stage, Tone> = { working: 'busy', blocked: 'bad', waiting: 'warn', ended: 'plain' };

const failoverEnd: Record<FailoverEnd, Tone> = {
  committed: 'good',
  rolled_back: 'plain',
  failed: 'bad',
  cancelled: 'plain',
  source_kept: 'warn',
};

const failbackEnd: Record<FailbackEnd, Tone> = {
  committed: 'good',
  rolled_back: 'plain',
  failed: 'bad',
  cancelled: 'plain',
  source_kept: 'warn',
};

const restoreEnd: Record<RestoreEnd, Tone> = {
  restored: 'good',
  // The volumes hold what was asked for, but nothing protects them.
  unprotected: 'warn',
  put_back: 'plain',
  failed: 'bad',
  cancelled: 'plain',
  failed_over: 'warn',
};

const serving: Record<SourceServing, Tone> = { writable: 'plain', read_only: 'plain', no: 'plain' };

const branch: Record<BranchState, Tone> = {
  ready: 'good',
  sealed: 'plain',
  removing: 'busy',
  unusable: 'bad',
};

const planRun: Record<PlanRunState, Tone> = {
  running: 'busy',
  awaiting_approval: 'warn',
  paused: 'bad',
  cancelling: 'busy',
  succeeded: 'good',
  succeeded_in_part: 'warn',
  cancelled: 'plain',
};

const planStep: Record<PlanStepState, Tone> = {
  waiting: 'plain',
  running: 'busy',
  awaiting_approval: 'warn',
  done: 'good',
  failed: 'bad',
  skipped: 'warn',
  not_run: 'plain',
};

const planCheck: Record<PlanCheckVerdict, Tone> = { passed: 'good', warning: 'warn', failed: 'bad' };

const alert: Record<AlertState, Tone> = { raised: 'warn', acknowledged: 'busy', cleared: 'plain' };

const severity: Record<AlertSeverity, Tone> = { warning: 'warn', critical: 'bad' };

const delivery: Record<AlertDeliveryState, Tone> = { pending: 'busy', delivered: 'good', given_up: 'bad' };

const view: Record<ViewState, Tone> = { open: 'good', failed: 'bad' };

/** All tables, by the name under which the catalogues have the words of the same states. */
export const TONES = {
  health,
  replication,
  placement,
  drillAxis,
  drill,
  job,
  readiness,
  readinessVerdict,
  rungVerdict,
  precheckVerdict,
  isolation,
  phaseOutcome,
  stepOutcome,
  stage,
  failoverEnd,
  failbackEnd,
  restoreEnd,
  serving,
  branch,
  planRun,
  planStep,
  planCheck,
  view,
  alert,
  severity,
  delivery,
} as const;

export type StateKind = keyof typeof TONES;
export type StateOf<Kind extends StateKind> = keyof (typeof TONES)[Kind] & string;

/** The colour of a state; unknown for one that this console never heard of. */
export function tone<Kind extends StateKind>(kind: Kind, state: StateOf<Kind>): Tone {
  return (TONES[kind] as Record<string, Tone>)[state] ?? 'unknown';
}
