import { expect, it } from 'vitest';
import type { Alert } from '../api/types';
import { asked, channelsStand, FILTERS, isMuteEnd, lasted, picked, toldTo, waiting } from './alerts';

const mute: Alert['muted'] = { scope: 'alert', until: 'x', by: 'ada', reason: 'known', at: 'x' };
const open = (severity: Alert['severity'], muted: Alert['muted'] = null) => ({ severity, muted });

it('picks the muted from the active, and leaves the other lists as they are', () => {
  const all = [open('warning'), open('critical', mute)];
  expect(FILTERS.map((filter) => [asked(filter), picked(all, filter).length])).toEqual([
    ['active', 2],
    ['raised', 2],
    ['acknowledged', 2],
    ['active', 1],
    ['cleared', 2],
    [undefined, 2],
  ]);
});

it('counts what waits for somebody, and the worst of it', () => {
  expect(waiting({ items: [] })).toBeNull();
  expect(waiting({ items: [open('critical', mute)] })).toBeNull();
  expect(waiting({ items: [open('warning'), open('critical', mute)] })).toEqual({
    count: 1,
    more: false,
    worst: 'warning',
  });
  expect(waiting({ items: [open('warning'), open('critical')], next_cursor: 'on' })).toEqual({
    count: 2,
    more: true,
    worst: 'critical',
  });
});

it('takes the ends of a mute that the API takes', () => {
  const now = Date.parse('2026-11-01T00:00:00Z');
  const day = 86_400_000;
  expect([-1, 0, 1, 90 * day, 90 * day + 1].map((after) => isMuteEnd(now + after, now))).toEqual([
    false,
    false,
    true,
    true,
    false,
  ]);
  expect(isMuteEnd(Number.NaN, now)).toBe(false);
});

it('lasts until it is cleared', () => {
  const now = Date.parse('2026-11-01T01:00:00Z');
  const raised_at = '2026-11-01T00:00:00Z';
  expect(lasted({ raised_at }, now)).toBe(3600);
  expect(lasted({ raised_at, cleared_at: '2026-11-01T00:01:00Z' }, now)).toBe(60);
});

it('says whom an alert was told to, and that it was nobody', () => {
  const at = '2026-11-23T17:31:43.72573Z';
  const told = { at, told_as: 'raised' };
  expect(toldTo(told, [])).toEqual([]);
  const deliveries = [
    { at, kind: 'raised', channel: 'mail' },
    { at, kind: 'raised', channel: 'mail' },
    { at, kind: 'cleared', channel: 'hook' },
    { at: '2026-11-23T18:00:00Z', kind: 'raised', channel: 'late' },
  ];
  expect(toldTo(told, deliveries)).toEqual(['mail']);
  expect(toldTo({ ...told, told_as: 'cleared' }, deliveries)).toEqual(['hook']);
});

it('says that alerts arrive only when something was taken of every channel', () => {
  const works = { failing_since: null, last_success_at: '2026-11-23T00:00:00Z' };
  const fails = { ...works, failing_since: '2026-11-23T01:00:00Z' };
  const fresh = { failing_since: null, last_success_at: null };
  expect(channelsStand([])).toEqual({ state: 'none', count: 0 });
  expect(channelsStand([works, works])).toEqual({ state: 'working', count: 2 });
  expect(channelsStand([works, fresh])).toEqual({ state: 'unproven', count: 1 });
  expect(channelsStand([works, fresh, fails])).toEqual({ state: 'failing', count: 1 });
});
