/**
 * In which zone times are shown and typed: the browser's, or UTC, on which people of two sites can agree. The browser
 * remembers it. What is typed means the same zone as what is shown.
 */
import { useMemo, useSyncExternalStore } from 'react';
import * as instants from '../format/instants';
import { useWords } from '../words/words';

export const ZONES = ['browser', 'utc'] as const;
export type ZoneChoice = (typeof ZONES)[number];

const PLACE = 'bcdr.zone';
const listeners = new Set<() => void>();

function kept(): ZoneChoice {
  return localStorage.getItem(PLACE) === 'utc' ? 'utc' : 'browser';
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function setZone(zone: ZoneChoice) {
  localStorage.setItem(PLACE, zone);
  for (const listener of listeners) listener();
}

/** Functions of `format/instants`, in the zone and the language that were chosen. */
export function useTimes() {
  const { language } = useWords();
  const zone = useSyncExternalStore(subscribe, kept);
  return useMemo(() => {
    const inUtc = zone === 'utc';
    return {
      zone,
      /** An instant for people, which says so when it is in UTC. */
      shown: (time: number) =>
        inUtc ? `${instants.local(time, language, 'UTC')} UTC` : instants.local(time, language),
      clockTime: (seconds: number) => instants.clockTime(seconds, inUtc),
      clockMinutes: (seconds: number) => instants.clockTime(seconds, inUtc).slice(0, 5),
      clockDay: (seconds: number) => instants.clockDay(seconds, inUtc),
      fromField: (text: string) => instants.fromField(text, inUtc),
      toField: (time: number) => instants.toField(time, inUtc),
    };
  }, [zone, language]);
}
