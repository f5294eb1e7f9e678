/**
 * Whether who is signed in may do something at all, whatever state it is in. The server decides; this is for saying
 * why before somebody has filled in a dialogue.
 */
import { NEEDS, type Operation, ROLES } from '../api/access';
import type { Permission, PlanMode, Role, Session } from '../api/types';

export interface Lack {
  permission: Permission;
  /** Who has it. */
  roles: readonly Role[];
}

/** The first permission that is missing for these operations together; null when there is none. */
export function lackFor(
  session: Pick<Session, 'allowed_actions'>,
  ...operations: readonly Operation[]
): Lack | null {
  for (const operation of operations) {
    const permission = NEEDS[operation];
    if (!session.allowed_actions.includes(permission)) return { permission, roles: ROLES[permission] };
  }
  return null;
}

/** What changes a run of a plan needs, which depends on what the run does with production. */
export function forRun(operation: Operation, mode: PlanMode): readonly Operation[] {
  return mode === 'drill' || operation === 'approve_plan_step' ? [operation] : [operation, 'start_failover'];
}
