/** Instants in the browser's zone, and the same in UTC for the title: two sites rarely share a zone. */

export function local(time: number, language: string, zone?: string): string {
  return new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-GB', {
    year: 'numeric',
    month: language === 'zh' ? '2-digit' : 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZone: zone,
  }).format(time);
}

/** The time of the day, for axes. */
export function clockTime(seconds: number, inUtc = false): string {
  return toField(seconds * 1000, inUtc).slice(11, 19);
}

/** Day and month, for axes over weeks. */
export function clockDay(seconds: number, inUtc = false): string {
  return toField(seconds * 1000, inUtc)
    .slice(5, 16)
    .replace('T', ' ');
}

/** To the millisecond, as logs have it. */
export function utc(time: number): string {
  return new Date(time).toISOString();
}

/** A `datetime-local` field's text, in the browser's zone or in UTC, as an instant; null when it is none. */
export function fromField(text: string, inUtc = false): string | null {
  if (!text) return null;
  const time = new Date(inUtc ? `${text}Z` : text).getTime();
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}

/** The other way round, to the second. */
export function toField(time: number, inUtc = false): string {
  const zoned = inUtc ? time : time - new Date(time).getTimezoneOffset() * 60_000;
  return new Date(zoned).toISOString().slice(0, 19);
}
