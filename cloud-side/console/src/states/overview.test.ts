import { expect, it } from 'vitest';
import type { Group } from '../api/types';
import { ageHistory, byAge, byDrillDue, byJournal, journalShare, proof, standing } from './overview';

function group(name: string, part: Partial<Group> = {}): Group {
  return {
    name,
    placement: 'source_active',
    replication: { state: 'continuous' },
    rpo_known: true,
    rpo_seconds: 1,
    health: { level: 'ok', reasons: [] },
    readiness: { state: 'unknown', disk_order: [] },
    drill: { state: 'none', running: 0 },
    capture: { connected: true },
    ...part,
  } as unknown as Group;
}
const names = (groups: Group[]) => groups.map(({ name }) => name);
const drill = (part: object) => ({ drill: { state: 'none' as const, running: 0, ...part } });

it('counts each group once, and none as protected that is not', () => {
  const all = [
    group('well'),
    group('away', { placement: 'target_active' }),
    group('blind', { rpo_known: false, rpo_seconds: null }),
    group('torn', { placement: 'split_brain_suspected' }),
    group('ill', { health: { level: 'critical', reasons: [] } }),
    group('lost', { placement: null }),
    group('late', { replication: { state: 'catching_up' } }),
  ];
  expect(standing(all)).toEqual({ total: 7, protectedNow: 1, away: 1, partly: 1, unknown: 2, bad: 2 });
  expect(standing([])).toEqual({ total: 0, protectedNow: 0, away: 0, partly: 0, unknown: 0, bad: 0 });
});

it('takes an overdue proof for none', () => {
  const all = [
    group('fresh', drill({ last_passed_at: '2026-11-22T00:00:00Z' })),
    group('late', drill({ last_passed_at: '2026-10-01T00:00:00Z', overdue_since: '2026-11-01T00:00:00Z' })),
    group('never', { readiness: { state: 'not_ready', disk_order: [] } }),
  ];
  expect(proof(all)).toEqual({
    total: 3,
    proven: 1,
    never: 1,
    overdue: 1,
    ready: 0,
    notReady: 1,
    oldest: '2026-10-01T00:00:00Z',
  });
  expect(names([...all].sort(byDrillDue))).toEqual(['late', 'never', 'fresh']);
});

it('has unknown ages before all others, and does not reorder for a second', () => {
  const all = [
    group('b', { rpo_seconds: 1.9 }),
    group('a', { rpo_seconds: 0.2 }),
    group('old', { rpo_seconds: 400 }),
    group('blind', { rpo_known: false, rpo_seconds: null }),
    group('dark', { rpo_known: false, rpo_seconds: 0 }),
  ];
  expect(names(all.sort(byAge))).toEqual(['blind', 'dark', 'old', 'a', 'b']);
});

it('has the fullest journal first, after what is not known', () => {
  const capture = (used: number | null) =>
    ({ capture: { connected: true, journal_used_bytes: used, journal_capacity_bytes: 100 } }) as object;
  const all = [group('empty', capture(1)), group('full', capture(90)), group('silent', capture(null))];
  expect(names(all.sort(byJournal))).toEqual(['silent', 'full', 'empty']);
  expect(journalShare(group('x', capture(150)))).toBe(1);
});

it('leaves a gap where no age was measured', () => {
  const part = (hour: number, worst: number | null, blind: number) => ({
    from: `2026-11-23T0${hour}:00:00Z`,
    to: `2026-11-23T0${hour + 1}:00:00Z`,
    worst_seconds: worst,
    p95_seconds: worst,
    measured_seconds: 3600 - blind,
    blind_seconds: blind,
  });
  const made = ageHistory({ items: [part(1, 2, 0), part(2, null, 3600), part(3, 7, 0)] });
  expect(made.worst).toEqual([2, null, 7]);
  expect([made.highest, made.blind]).toEqual([7, 3600]);
  expect(made.at[0]).toBe(Date.parse('2026-11-23T01:30:00Z') / 1000);
  expect(ageHistory({ items: [part(1, null, 0)] }).highest).toBeNull();
});
