import { expect, it } from 'vitest';
import { bytes, exactBytes } from './bytes';

it('shows three figures of a binary unit', () => {
  expect(bytes(0)).toBe('0 B');
  expect(bytes(1023)).toBe('1023 B');
  expect(bytes(1024)).toBe('1.00 KiB');
  expect(bytes(10_240)).toBe('10.0 KiB');
  expect(bytes(2 ** 31)).toBe('2.00 GiB');
  expect(bytes(123_456_789)).toBe('118 MiB');
});

it('never shows 1024 of a unit', () => {
  expect(bytes(2 ** 20 - 1)).toBe('1.00 MiB');
  expect(bytes(2 ** 30 - 1)).toBe('1.00 GiB');
});

it('does not make up a size', () => {
  expect(bytes(Number.NaN)).toBe('–');
  expect(bytes(-1)).toBe('–');
});

it('groups the exact number', () => {
  expect(exactBytes(2147483648)).toBe('2\u202f147\u202f483\u202f648 B');
});
