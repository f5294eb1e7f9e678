import { expect, it } from 'vitest';
import type { Alert, Group } from '../api/types';
import { alertsBeside, byHealth, inbox } from './inbox';

function group(name: string, part: Partial<Group> = {}): Group {
  return {
    name,
    placement: 'source_active',
    health: { level: 'ok', reasons: [] },
    drill: { state: 'none' },
    allowed_actions: [],
    ...part,
  } as unknown as Group;
}

const may = (...names: string[]) => ({ allowed_actions: names.map((name) => ({ name, allowed: true })) });

it('is empty on a calm day', () => {
  expect(inbox([group('a'), group('b', may('start_drill', 'failover_start'))])).toEqual([]);
});

it('does not take a refused action for one that waits', () => {
  const refused = { allowed_actions: [{ name: 'failover_commit', allowed: false, reason: 'no' }] };
  expect(inbox([group('a', refused)])).toEqual([]);
});

it('has the most urgent first', () => {
  const all = [
    group('overdue', { drill: { state: 'none', running: 0, overdue_since: '2026-11-01T00:00:00Z' } }),
    group('decide', { placement: 'target_uncommitted', ...may('failover_commit', 'failover_rollback') }),
    group('split', { placement: 'split_brain_suspected', ...may('keep_source') }),
    group('silent', { health: { level: 'critical', reasons: [] } }),
  ];
  expect(inbox(all).map((item) => [item.name, item.code])).toEqual([
    ['split', 'split'],
    ['decide', 'failover_decide'],
    ['silent', 'health_critical'],
    ['overdue', 'drill_overdue'],
  ]);
});

it('does not cry over a source that stands by while production is elsewhere', () => {
  const moved = group('moved', { placement: 'target_active', health: { level: 'critical', reasons: [] } });
  expect(inbox([moved])).toEqual([]);
});

it('sorts the worst first, and by name among equals', () => {
  const all = [
    group('b'),
    group('a'),
    group('unknown', { health: { level: 'unknown', reasons: [] } }),
    group('critical', { health: { level: 'critical', reasons: [] } }),
    group('split', { placement: 'split_brain_suspected' }),
  ];
  expect(all.sort(byHealth).map(({ name }) => name)).toEqual(['split', 'critical', 'unknown', 'a', 'b']);
});

it('adds the alerts that it does not tell of by itself, the critical first', () => {
  const alert = (code: string, name: string, severity: Alert['severity'], at: string, muted = false) => ({
    code,
    severity,
    raised_at: at,
    muted: muted ? ({} as NonNullable<Alert['muted']>) : null,
    object: { kind: 'group', id: name, name },
  });
  const items = inbox([group('split', { placement: 'split_brain_suspected', ...may('keep_source') })]);
  const alerts = [
    alert('rpo_breach', 'split', 'warning', '2026-11-23T02:00:00Z'),
    alert('split_brain_suspected', 'split', 'critical', '2026-11-23T01:00:00Z'),
    alert('split_brain_suspected', 'another', 'critical', '2026-11-23T01:00:00Z'),
    alert('rpo_breach', 'newer', 'warning', '2026-11-23T03:00:00Z'),
    alert('stalled', 'muted', 'critical', '2026-11-23T03:00:00Z', true),
  ];
  expect(alertsBeside(items, alerts).map(({ code, object }) => [code, object.name])).toEqual([
    ['split_brain_suspected', 'another'],
    ['rpo_breach', 'newer'],
    ['rpo_breach', 'split'],
  ]);
});
