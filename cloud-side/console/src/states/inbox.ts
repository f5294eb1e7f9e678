/** What waits for somebody, over all groups, the most urgent first. Read from what the API says may be done. */
import type { Alert, Group, PlanRun } from '../api/types';
import type { Tone } from './tones';

export type InboxCode =
  | 'split'
  | 'blocked'
  | 'failover_decide'
  | 'failback_decide'
  | 'failback_confirm'
  | 'failback_cutover'
  | 'health_critical'
  | 'run_paused'
  | 'run_approval'
  | 'cleanup_failed'
  | 'drill_overdue';

export interface InboxItem {
  /** The group's name, or the plan's. */
  name: string;
  /** The run of a plan; absent where it is about a group. */
  run?: string;
  code: InboxCode;
  tone: Tone;
  /** Where it can be done, under the group's address. */
  path: string;
}

const ORDER: InboxCode[] = [
  'split',
  'blocked',
  'failover_decide',
  'failback_decide',
  'run_paused',
  'run_approval',
  'health_critical',
  'failback_confirm',
  'failback_cutover',
  'cleanup_failed',
  'drill_overdue',
];

function ofGroup(group: Group): InboxItem[] {
  const may = (name: string) =>
    group.allowed_actions.some((action) => action.name === name && action.allowed);
  const items: InboxItem[] = [];
  const add = (code: InboxCode, tone: Tone, path: string) =>
    items.push({ name: group.name, code, tone, path });
  if (group.placement === 'split_brain_suspected') add('split', 'bad', 'moves');
  if (may('retry')) add('blocked', 'bad', 'moves');
  if (may('failover_commit')) add('failover_decide', 'warn', 'moves');
  if (may('failback_commit')) add('failback_decide', 'warn', 'moves');
  if (may('failback_confirm')) add('failback_confirm', 'warn', 'moves');
  if (may('failback_cutover')) add('failback_cutover', 'busy', 'moves');
  if (group.health.level === 'critical' && group.placement === 'source_active')
    add('health_critical', 'bad', '');
  if (group.drill.state === 'cleanup_failed') add('cleanup_failed', 'warn', 'drills');
  if (group.drill.overdue_since) add('drill_overdue', 'warn', 'drills');
  return items;
}

function ofRun({ id, plan, state }: PlanRun): InboxItem[] {
  if (state === 'paused') return [{ name: plan, run: id, code: 'run_paused', tone: 'bad', path: '' }];
  if (state === 'awaiting_approval')
    return [{ name: plan, run: id, code: 'run_approval', tone: 'warn', path: '' }];
  return [];
}

export function inbox(groups: Group[], runs: PlanRun[] = []): InboxItem[] {
  const items = [...groups.flatMap(ofGroup), ...runs.flatMap(ofRun)];
  return items.sort((one, other) => ORDER.indexOf(one.code) - ORDER.indexOf(other.code));
}

/** The alerts that say of a group what an item says of it already. */
const SAME: Partial<Record<InboxCode, string[]>> = {
  split: ['split_brain_suspected'],
  failover_decide: ['commit_pending'],
  failback_decide: ['commit_pending'],
  health_critical: ['disconnected', 'stalled', 'unprotected', 'untracked'],
  cleanup_failed: ['cleanup_pending'],
  drill_overdue: ['drill_overdue'],
};

type Shown = Pick<Alert, 'code' | 'muted' | 'object' | 'severity' | 'raised_at'>;

/** The alerts that nobody took on or muted, and that no item tells of; the critical first, then the newest. */
export function alertsBeside<Item extends Shown>(items: InboxItem[], alerts: Item[]): Item[] {
  const told = (alert: Item) =>
    alert.object.kind === 'group' &&
    items.some(
      ({ name, run, code }) => !run && name === alert.object.name && SAME[code]?.includes(alert.code),
    );
  const rank = ({ severity }: Item) => (severity === 'critical' ? 0 : 1);
  return alerts
    .filter((alert) => !alert.muted && !told(alert))
    .sort((one, other) => rank(one) - rank(other) || Date.parse(other.raised_at) - Date.parse(one.raised_at));
}

const LEVELS = ['critical', 'warning', 'unknown', 'ok'];

/** Worst first; among equals by name. */
export function byHealth(one: Group, other: Group): number {
  const split = (group: Group) => (group.placement === 'split_brain_suspected' ? 0 : 1);
  return (
    split(one) - split(other) ||
    LEVELS.indexOf(one.health.level) - LEVELS.indexOf(other.health.level) ||
    one.name.localeCompare(other.name)
  );
}
