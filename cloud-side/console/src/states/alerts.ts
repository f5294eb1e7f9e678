/** Alerts: which of them a list shows, how many wait for somebody, and when a mute ends. */
import type { Alert, AlertChannel, AlertDelivery, AlertEntry, Page } from '../api/types';

/** What a list of alerts may be narrowed to. */
export const FILTERS = ['active', 'raised', 'acknowledged', 'muted', 'cleared', 'all'] as const;
export type AlertFilter = (typeof FILTERS)[number];

/** What the API is asked for; muted alerts are no state of their own there, so they are picked from the active. */
export function asked(filter: AlertFilter): 'active' | 'raised' | 'acknowledged' | 'cleared' | undefined {
  if (filter === 'all') return undefined;
  return filter === 'muted' ? 'active' : filter;
}

export function picked<Item extends Pick<Alert, 'muted'>>(items: Item[], filter: AlertFilter): Item[] {
  return filter === 'muted' ? items.filter((alert) => alert.muted) : items;
}

export interface Waiting {
  count: number;
  /** Whether there may be more than were counted. */
  more: boolean;
  worst: 'warning' | 'critical';
}

/** What nobody has taken on or muted, of the raised alerts; null when there is none. */
export function waiting({ items, next_cursor }: Page<Pick<Alert, 'severity' | 'muted'>>): Waiting | null {
  const open = items.filter((alert) => !alert.muted);
  if (open.length === 0) return null;
  return {
    count: open.length,
    more: Boolean(next_cursor),
    worst: open.some(({ severity }) => severity === 'critical') ? 'critical' : 'warning',
  };
}

/** The lengths that a mute is offered with, in seconds. */
export const MUTES = [3600, 4 * 3600, 86_400, 7 * 86_400] as const;
const LONGEST_MUTE_MS = 90 * 86_400_000;

/** Whether the API takes this end of a mute: to come, and within 90 days. */
export function isMuteEnd(until: number, now: number): boolean {
  return until > now && until <= now + LONGEST_MUTE_MS;
}

/** How long an alert lasted or has lasted, in seconds. */
export function lasted({ raised_at, cleared_at }: Pick<Alert, 'raised_at' | 'cleared_at'>, now: number) {
  const end = cleared_at ? Date.parse(cleared_at) : now;
  return Math.max(0, (end - Date.parse(raised_at)) / 1000);
}

/**
 * To whom an entry of the history that says `told` was addressed: the channels, each once. The server makes the entry
 * when it is time to tell, also when no channel takes it; then there is nobody.
 */
export function toldTo(
  entry: Pick<AlertEntry, 'at' | 'told_as'>,
  deliveries: Pick<AlertDelivery, 'at' | 'kind' | 'channel'>[],
): string[] {
  const its = deliveries.filter(
    ({ at, kind }) => kind === entry.told_as && Date.parse(at) === Date.parse(entry.at),
  );
  return [...new Set(its.map(({ channel }) => channel))];
}

/** How the channels stand as a whole, the worst first, and how many of them stand so. */
export function channelsStand(channels: Pick<AlertChannel, 'failing_since' | 'last_success_at'>[]) {
  const failing = channels.filter((channel) => channel.failing_since).length;
  const unproven = channels.filter((channel) => !channel.failing_since && !channel.last_success_at).length;
  if (channels.length === 0) return { state: 'none', count: 0 } as const;
  if (failing > 0) return { state: 'failing', count: failing } as const;
  if (unproven > 0) return { state: 'unproven', count: unproven } as const;
  return { state: 'working', count: channels.length } as const;
}
