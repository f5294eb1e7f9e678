/** What an installation's groups are in a few figures, and which of them come first. Pure. */
import type { Group, Samples } from '../api/types';
import { type AnswerCode, answer, isWell } from './answer';

export interface Standing {
  total: number;
  protectedNow: number;
  /**
   * What is bad, what has its production at the target or on the move, what follows with a gap, and what nobody knows;
   * with the protected they are all.
   */
  bad: number;
  away: number;
  partly: number;
  unknown: number;
}

const AWAY: ReadonlySet<AnswerCode> = new Set(['at_target', 'decide', 'moving', 'restoring']);

export function standing(groups: Group[]): Standing {
  const made: Standing = { total: groups.length, protectedNow: 0, bad: 0, away: 0, partly: 0, unknown: 0 };
  for (const group of groups) {
    const { tone, code } = answer(group);
    if (isWell(group)) made.protectedNow += 1;
    else if (tone === 'unknown' || group.health.level === 'unknown') made.unknown += 1;
    else if (tone === 'bad' || group.health.level === 'critical') made.bad += 1;
    else if (AWAY.has(code)) made.away += 1;
    else made.partly += 1;
  }
  return made;
}

export interface Proof {
  total: number;
  /** Groups of which a drill passed and none is overdue. */
  proven: number;
  never: number;
  overdue: number;
  /** Groups whose newest inspected point would boot. */
  ready: number;
  notReady: number;
  /** When the group that was proven longest ago was proven; null when none was. */
  oldest: string | null;
}

export function proof(groups: Group[]): Proof {
  const passed = groups.flatMap(({ drill }) => (drill.last_passed_at ? [drill.last_passed_at] : []));
  const count = (is: (group: Group) => boolean) => groups.filter(is).length;
  return {
    total: groups.length,
    proven: count(({ drill }) => Boolean(drill.last_passed_at) && !drill.overdue_since),
    never: groups.length - passed.length,
    overdue: count(({ drill }) => Boolean(drill.overdue_since)),
    ready: count(({ readiness }) => readiness.state === 'ready'),
    notReady: count(({ readiness }) => readiness.state === 'not_ready'),
    oldest: passed.reduce<string | null>(
      (least, at) => (least === null || Date.parse(at) < Date.parse(least) ? at : least),
      null,
    ),
  };
}

const byName = (one: Group, other: Group) => one.name.localeCompare(other.name);

/** The age of a group's newest point; infinite where nobody knows it, since unknown is worse than any age. */
export function ageOf({ rpo_known, rpo_seconds }: Pick<Group, 'rpo_known' | 'rpo_seconds'>): number {
  return rpo_known && rpo_seconds != null ? rpo_seconds : Number.POSITIVE_INFINITY;
}

/** What is less than this apart is the beat of the replication, and no order that is worth jumping about for. */
const AGE_GRAIN_SECONDS = 10;

export function byAge(one: Group, other: Group): number {
  const [first, second] = [one, other].map((group) => Math.floor(ageOf(group) / AGE_GRAIN_SECONDS));
  if (first === second || first === undefined || second === undefined) return byName(one, other);
  return second > first ? 1 : -1;
}

/** Overdue first, then what was never proven, then the oldest proof. */
export function byDrillDue(one: Group, other: Group): number {
  const rank = ({ drill }: Group) => (drill.overdue_since ? 0 : drill.last_passed_at ? 2 : 1);
  const time = ({ drill }: Group) => Date.parse(drill.overdue_since ?? drill.last_passed_at ?? '') || 0;
  return rank(one) - rank(other) || time(one) - time(other) || byName(one, other);
}

/** How full the capture's journal is, 0 to 1; null where it is not known. */
export function journalShare({ capture }: Pick<Group, 'capture'>): number | null {
  const { journal_used_bytes: used, journal_capacity_bytes: room } = capture;
  return used == null || room == null || room <= 0 ? null : Math.min(1, used / room);
}

/** Unknown first, then the fullest, in steps of a percent. */
export function byJournal(one: Group, other: Group): number {
  const share = (group: Group) => Math.round(100 * (journalShare(group) ?? 2));
  return share(other) - share(one) || byName(one, other);
}

export interface AgeHistory {
  /** Seconds, the middle of each part. */
  at: number[];
  worst: (number | null)[];
  /** The greatest age of all; null when nothing was measured. */
  highest: number | null;
  /** Seconds in which nobody measured although there was something to be measured. */
  blind: number;
}

/** The greatest ages, part by part, as a plot wants them. */
export function ageHistory({ items }: Pick<Samples, 'items'>): AgeHistory {
  const worst = items.map(({ worst_seconds }) => worst_seconds ?? null);
  const known = worst.filter((value): value is number => value !== null);
  return {
    at: items.map(({ from, to }) => (Date.parse(from) + Date.parse(to)) / 2000),
    worst,
    highest: known.length === 0 ? null : Math.max(...known),
    blind: items.reduce((sum, { blind_seconds }) => sum + blind_seconds, 0),
  };
}
