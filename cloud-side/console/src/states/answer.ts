/**
 * The one sentence that a group's page begins with: is it protected? It names the worst that is true, and never
 * says yes while something that it depends on is not known.
 */
import type { Group } from '../api/types';
import type { Tone } from './tones';

export type AnswerCode =
  | 'split'
  | 'restoring'
  | 'moving'
  | 'decide'
  | 'at_target'
  | 'home_follows'
  | 'unprotected'
  | 'initial_sync'
  | 'catching_up'
  | 'disconnected'
  | 'stalled'
  | 'damaged'
  | 'partly'
  | 'no_age'
  | 'placement_unknown'
  | 'protected';

export interface Answer {
  code: AnswerCode;
  tone: Tone;
}

type Asked = Pick<Group, 'placement' | 'replication' | 'rpo_known' | 'health'>;

export function answer({ placement, replication, rpo_known, health }: Asked): Answer {
  switch (placement) {
    case 'split_brain_suspected':
      return { code: 'split', tone: 'bad' };
    case 'target_uncommitted':
    case 'source_uncommitted':
      return { code: 'decide', tone: 'warn' };
    case 'restoring':
      return { code: 'restoring', tone: 'warn' };
    case 'failing_over':
    case 'failing_back':
    case 'rolling_back':
      return { code: 'moving', tone: 'busy' };
    case 'target_active':
    case 'reversing':
      return { code: 'at_target', tone: 'warn' };
    case 'reverse_protected':
      return { code: 'home_follows', tone: 'warn' };
    case null:
    case undefined:
      return { code: 'placement_unknown', tone: 'unknown' };
    case 'source_active':
      break;
  }
  switch (replication.state) {
    case 'unprotected':
      return { code: 'unprotected', tone: 'bad' };
    case 'initial_sync':
      return { code: 'initial_sync', tone: 'busy' };
    case 'catching_up':
      return { code: 'catching_up', tone: 'warn' };
    case 'disconnected':
      return { code: 'disconnected', tone: health.level === 'unknown' ? 'unknown' : 'bad' };
    case 'stalled':
      return { code: 'stalled', tone: 'bad' };
    case 'continuous':
      break;
  }
  const says = (code: string) => health.reasons.some((reason) => reason.code === code);
  if (says('replica_damaged')) return { code: 'damaged', tone: 'bad' };
  if (says('volume_not_followed')) return { code: 'partly', tone: 'warn' };
  if (!rpo_known) return { code: 'no_age', tone: 'unknown' };
  return { code: 'protected', tone: 'good' };
}

/**
 * The colour of a part of a group's state: nothing of it is green while the answer as a whole is not. A stream that
 * goes on is no protection while production is at the other site.
 */
export function within(group: Asked, wanted: Tone): Tone {
  return wanted === 'good' ? answer(group).tone : wanted;
}

/** Whether the group is well by its health, and protected. */
export function isWell(group: Asked): boolean {
  return group.health.level === 'ok' && answer(group).tone === 'good';
}
