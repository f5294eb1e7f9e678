/** Whether what is shown here is older than it should be. Set by `Live`, read by whatever has a colour. */
import { createContext, useContext } from 'react';

export interface Staleness {
  /** When the data was heard, on this browser's clock; null while it is fresh. */
  staleSince: number | null;
}

export const StalenessContext = createContext<Staleness>({ staleSince: null });

export function useStale(): boolean {
  return useContext(StalenessContext).staleSince !== null;
}

/** Data of a polled answer is stale when several polls in a row brought nothing. */
export const STALE_AFTER_MS = 10_000;

/** Since when an answer is stale; null while it is fresh. Pure, so that it can be tested. */
export function staleSince(heardAt: number, now: number, polled: boolean): number | null {
  return polled && now - heardAt > STALE_AFTER_MS ? heardAt : null;
}
