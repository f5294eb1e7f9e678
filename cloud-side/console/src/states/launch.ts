/** The console patterns of launch settings: a rung is recognised by the server's pattern, by an own one, or not at all. Pure. */
import type { LaunchSettings, RungPatterns } from '../api/types';

/** Rungs that the server recognises by itself, so that there is something to be switched off. */
export const DEFAULT_RUNGS = ['firmware', 'kernel', 'root_mounted', 'login'] as const;
/** Rungs that are looked for only when a pattern is given. */
export const OPTIONAL_RUNGS = ['canary', 'canary_check', 'network_isolated', 'network_leak'] as const;

export type RungName = (typeof DEFAULT_RUNGS)[number] | (typeof OPTIONAL_RUNGS)[number];

/** The API says with an empty pattern that a rung is not looked for; without one it takes its own. */
export function isOff(rungs: RungPatterns | undefined, name: (typeof DEFAULT_RUNGS)[number]): boolean {
  return rungs?.[name] === '';
}

/** A field that is cleared is the default again. */
export function withPattern(rungs: RungPatterns | undefined, name: RungName, text: string): RungPatterns {
  const { [name]: _, ...others } = rungs ?? {};
  return text === '' ? others : { ...others, [name]: text };
}

export function switched(
  rungs: RungPatterns | undefined,
  name: (typeof DEFAULT_RUNGS)[number],
  on: boolean,
): RungPatterns {
  return on ? withPattern(rungs, name, '') : { ...rungs, [name]: '' };
}

/** Settings without what is the default anyway, as a plan keeps them; undefined when nothing is left. */
export function kept(settings: LaunchSettings): LaunchSettings | undefined {
  const left = Object.entries(settings).filter(
    ([name, value]) =>
      value !== undefined && !(name === 'rungs' && Object.keys(value as object).length === 0),
  );
  return left.length === 0 ? undefined : (Object.fromEntries(left) as LaunchSettings);
}
