import { expect, it } from 'vitest';
import { eventParts, readReport, recoveryTimes, trendRows } from './document';

it('is none of a text that is something else', () => {
  for (const text of ['', '{}', '{"report":{"number":1}}', '[1]', 'null'])
    expect(readReport(text), text).toBeNull();
});

it('names phases and rungs of its timeline, and leaves what it does not know', () => {
  expect(eventParts('phase:fence')).toEqual({ kind: 'phase', name: 'fence' });
  expect(eventParts('rung:login')).toEqual({ kind: 'rung', name: 'login' });
  expect(eventParts('finished')).toEqual({ kind: null, name: 'finished' });
  expect(eventParts('phase:')).toEqual({ kind: null, name: 'phase:' });
});

it('counts from the interruption only where somebody entered one', () => {
  const recovery_time = { until: 'login', from_interruption_ms: null, from_request_ms: 5 };
  expect(recoveryTimes({ recovery_time, interruption: null })).toEqual([{ start: 'request', ms: 5 }]);
  const interruption = { at: '2026-11-23T00:00:00Z', by: 'alice', note: null };
  expect(recoveryTimes({ recovery_time, interruption })).toEqual([
    { start: 'interruption', ms: null },
    { start: 'request', ms: 5 },
  ]);
});

it('has no trend of what is none', () => {
  expect(trendRows(null)).toEqual([]);
  expect(trendRows({ rows: [{ number: '1' }, { number: 2, requested_at: 'x' }] })).toHaveLength(1);
});
