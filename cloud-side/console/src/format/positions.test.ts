import { expect, it } from 'vitest';
import { behind, parsePosition } from './positions';

it('reads a position', () => {
  expect(parsePosition('3-4041')).toEqual({ incarnation: 3, sequence: 4041 });
  expect(parsePosition('4041')).toBeNull();
  expect(parsePosition(null)).toBeNull();
});

it('counts within one incarnation only', () => {
  expect(behind('1-90', '1-100')).toBe(10);
  // The capture tells its head once a second: what arrived since is ahead of it, not behind.
  expect(behind('1-101', '1-100')).toBe(0);
  expect(behind('1-90', '2-100')).toBeNull();
  expect(behind(null, '1-100')).toBeNull();
  expect(behind('1-90', undefined)).toBeNull();
});
