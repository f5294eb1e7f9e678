/**
 * When the API was last heard, and how far its clock is from this browser's. The console polls; what it shows
 * is only as good as the last answer, so the age of that answer is always on the page.
 */
import { useSyncExternalStore } from 'react';

export interface Hearing {
  /** When an answer came last, on this browser's clock; null before the first. */
  heardAt: number | null;
  /** Since when requests go unanswered; null while they are answered. */
  silentSince: number | null;
  /** Milliseconds to add to this browser's clock to get the server's. */
  offset: number;
}

let hearing: Hearing = { heardAt: null, silentSince: null, offset: 0 };
const listeners = new Set<() => void>();

function set(next: Hearing) {
  hearing = next;
  for (const listener of listeners) listener();
}

/** The `Date` header has whole seconds: less than this is not a difference of clocks. */
const CLOCK_GRAIN_MS = 2000;

/** An answer came, whatever it said. */
export function heard(date: string | null, now = Date.now()) {
  let { offset } = hearing;
  const server = date === null ? Number.NaN : Date.parse(date);
  if (!Number.isNaN(server)) {
    // The header is cut to whole seconds, so half a second is what it lacks on average.
    const difference = server + 500 - now;
    offset = Math.abs(difference) < CLOCK_GRAIN_MS ? 0 : difference;
  }
  set({ heardAt: now, silentSince: null, offset });
}

/** A request got no answer. */
export function notHeard(now = Date.now()) {
  if (hearing.silentSince === null) set({ ...hearing, silentSince: hearing.heardAt ?? now });
}

export function currentHearing(): Hearing {
  return hearing;
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useHearing(): Hearing {
  return useSyncExternalStore(subscribe, () => hearing);
}

/** Now on the server's clock, which all times of the API are on. */
export function serverNow(): number {
  return Date.now() + hearing.offset;
}
