import { expect, it } from 'vitest';
import { isOff, kept, switched, withPattern } from './launch';

it('switches a rung off by an empty pattern, and on again by none', () => {
  const off = switched({ login: 'login:' }, 'kernel', false);
  expect(off).toEqual({ login: 'login:', kernel: '' });
  expect(isOff(off, 'kernel')).toBe(true);
  expect(isOff(off, 'login')).toBe(false);
  // The default, and not a rung that is off: the key is gone.
  expect(Object.keys(switched(off, 'kernel', true))).toEqual(['login']);
  expect(isOff(undefined, 'kernel')).toBe(false);
});

it('takes a cleared pattern for the default', () => {
  const own = withPattern(undefined, 'login', 'ready> ');
  expect(own).toEqual({ login: 'ready> ' });
  expect(Object.keys(withPattern(own, 'login', ''))).toEqual([]);
});

it('keeps no setting that says nothing', () => {
  expect(kept({ cpus: undefined, rungs: {} })).toBeUndefined();
  expect(kept({ cpus: 4, rungs: { kernel: '' } })).toEqual({ cpus: 4, rungs: { kernel: '' } });
});
