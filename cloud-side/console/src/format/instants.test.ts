import { expect, it } from 'vitest';
import { clockDay, clockTime, fromField, local, toField, utc } from './instants';

const NOON = Date.parse('2026-11-23T04:00:05.123Z');

it('shows the zone that is asked for, and UTC to the millisecond', () => {
  expect(local(NOON, 'en', 'Asia/Shanghai')).toBe('23 Nov 2026, 12:00:05');
  expect(local(NOON, 'zh', 'Asia/Shanghai')).toBe('2026/11/23 12:00:05');
  expect(local(NOON, 'en', 'UTC')).toBe('23 Nov 2026, 04:00:05');
  expect(utc(NOON)).toBe('2026-11-23T04:00:05.123Z');
});

it('gives a field back what it was given, to the second', () => {
  expect(fromField(toField(NOON))).toBe('2026-11-23T04:00:05.000Z');
  expect(fromField('')).toBeNull();
  expect(fromField('yesterday')).toBeNull();
});

it('means UTC by a field that is shown in UTC', () => {
  expect(toField(NOON, true)).toBe('2026-11-23T04:00:05');
  expect(fromField('2026-11-23T04:00:05', true)).toBe('2026-11-23T04:00:05.000Z');
  // A field without seconds, as some browsers give a whole minute.
  expect(fromField('2026-11-23T04:00', true)).toBe('2026-11-23T04:00:00.000Z');
  expect(fromField('yesterday', true)).toBeNull();
  expect(clockTime(NOON / 1000, true)).toBe('04:00:05');
  expect(clockDay(NOON / 1000, true)).toBe('11-23 04:00');
  const here = new Date(NOON);
  expect(clockTime(NOON / 1000).slice(0, 2)).toBe(String(here.getHours()).padStart(2, '0'));
});
