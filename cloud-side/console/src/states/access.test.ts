import { expect, it } from 'vitest';
import { ROLES } from '../api/access';
import { hasEnded, isName, passwordFault, permissionsOf, ROLE_ORDER } from './access';

it('offers every role', () => {
  expect([...ROLE_ORDER].sort()).toEqual([...ROLES.read].sort());
});

it('knows what a role may do', () => {
  expect(permissionsOf('viewer')).toEqual([]);
  expect(permissionsOf('auditor')).toEqual(['audit']);
  expect(permissionsOf('drill_operator')).toEqual(['mark_points', 'drill', 'handle_alerts']);
  expect(permissionsOf('admin')).toHaveLength(Object.keys(ROLES).length - 2);
});

it('takes the names that the API takes', () => {
  for (const good of ['a', 'ada', '0x', 'ada.l@example-1_b', 'a'.repeat(64)])
    expect(isName(good), good).toBe(true);
  for (const bad of ['', 'Ada', '.ada', '-ada', 'a da', 'ä', 'a'.repeat(65), 'a\n'])
    expect(isName(bad), bad).toBe(false);
});

it('takes passwords of 12 to 256 characters, which are not the name', () => {
  expect(passwordFault('a'.repeat(11), 'ada')).toBe('length');
  expect(passwordFault('a'.repeat(12), 'ada')).toBeNull();
  // Characters, not bytes and not the halves that a script counts.
  expect(passwordFault('𝄞'.repeat(6), 'ada')).toBe('length');
  expect(passwordFault('密'.repeat(256), 'ada')).toBeNull();
  expect(passwordFault('a'.repeat(257), 'ada')).toBe('length');
  expect(passwordFault('ada.lovelace', 'ada.lovelace')).toBe('is_name');
});

it('knows a token that ended', () => {
  const now = Date.parse('2026-11-01T00:00:00Z');
  expect(hasEnded({ expires_at: null }, now)).toBe(false);
  expect(hasEnded({ expires_at: '2026-11-01T00:00:01Z' }, now)).toBe(false);
  expect(hasEnded({ expires_at: '2026-11-01T00:00:00Z' }, now)).toBe(true);
});
