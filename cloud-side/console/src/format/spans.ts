/**
 * Lengths of time for people: two units at most, cut and never rounded up, so that an age never claims more
 * than passed. Below a minute one decimal is shown, since recovery points are seconds old.
 */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What the units are called. */
export interface UnitNames {
  s: string;
  min: string;
  h: string;
  d: string;
}

export const UNIT_NAMES: Record<'en' | 'zh', UnitNames> = {
  en: { s: 's', min: 'min', h: 'h', d: 'd' },
  zh: { s: '秒', min: '分', h: '小时', d: '天' },
};

export function span(seconds: number, names: UnitNames = UNIT_NAMES.en): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 0) return `−${span(-seconds, names)}`;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} ${names.s}`;
  if (seconds < MINUTE) return `${Math.floor(seconds)} ${names.s}`;
  const whole = Math.floor(seconds);
  if (whole < HOUR) return two(whole, MINUTE, names.min, 1, names.s);
  if (whole < DAY) return two(whole, HOUR, names.h, MINUTE, names.min);
  return two(whole, DAY, names.d, HOUR, names.h);
}

/** The same without the tenths, for what ticks once a second. */
export function wholeSpan(seconds: number, names: UnitNames = UNIT_NAMES.en): string {
  const whole = Math.floor(Math.abs(seconds));
  return whole < 10 ? `${whole} ${names.s}` : span(whole, names);
}

function two(whole: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((whole % large) / small);
  const first = `${Math.floor(whole / large)} ${largeName}`;
  return rest === 0 ? first : `${first} ${rest} ${smallName}`;
}

/** A stopwatch: hours only when there are any, seconds always two digits. */
export function stopwatch(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / MINUTE) % 60, whole % 60].map((part) => String(part).padStart(2, '0'));
  const hours = Math.floor(whole / HOUR);
  return hours > 0 ? `${hours}:${parts.join(':')}` : parts.join(':');
}

/** How long a step took: tenths while that says something. */
export function took(seconds: number, names: UnitNames = UNIT_NAMES.en): string {
  if (seconds < 100) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} ${names.s}`;
  return span(seconds, names);
}

const UNITS: Record<string, number> = { s: 1, m: MINUTE, min: MINUTE, h: HOUR, d: DAY };

/** Seconds of what somebody typed, such as `90`, `30m`, `2h` or `7d`; null when it is none. */
export function parseSpan(text: string): number | null {
  const found = /^\s*(\d{1,9})\s*(s|m|min|h|d)?\s*$/.exec(text);
  if (!found) return null;
  return Number(found[1]) * (UNITS[found[2] ?? 's'] ?? 1);
}
