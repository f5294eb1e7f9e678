/** Users and tokens: what the API takes as a name, a password and an end, and what each role may do. */
import { ROLES } from '../api/access';
import type { Permission, Role, Token } from '../api/types';

/** In the order in which they are offered: from seeing to everything. */
export const ROLE_ORDER: readonly Role[] = [
  'viewer',
  'auditor',
  'approver',
  'drill_operator',
  'operator',
  'admin',
];

/** What a role may do beside seeing and its own session, which all may. */
export function permissionsOf(role: Role): Permission[] {
  const entries = Object.entries(ROLES) as [Permission, readonly Role[]][];
  return entries
    .filter(([permission, roles]) => permission !== 'own' && permission !== 'read' && roles.includes(role))
    .map(([permission]) => permission);
}

/** Whether it can be a user's name. */
export function isName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._@-]{0,63}$/.test(name);
}

/** Why this cannot be a user's password; null when it can. */
export function passwordFault(password: string, name: string): 'length' | 'is_name' | null {
  const length = [...password].length;
  if (length < 12 || length > 256) return 'length';
  return password.toLowerCase() === name.toLowerCase() ? 'is_name' : null;
}

/** Whether a token is of use no longer. */
export function hasEnded({ expires_at }: Pick<Token, 'expires_at'>, now: number): boolean {
  return expires_at != null && Date.parse(expires_at) <= now;
}
