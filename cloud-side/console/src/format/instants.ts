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
export function clockTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** Day and month, for axes over weeks. */
export function clockDay(seconds: number): string {
  const time = new Date(seconds * 1000);
  const day = [time.getMonth() + 1, time.getDate()].map((part) => String(part).padStart(2, '0')).join('-');
  return `${day} ${clockTime(seconds).slice(0, 5)}`;
}

/** To the millisecond, as logs have it. */
export function utc(time: number): string {
  return new Date(time).toISOString();
}

/** A `datetime-local` field's text, which is in the browser's zone, as an instant; null when it is none. */
export function fromField(text: string): string | null {
  if (!text) return null;
  const time = new Date(text).getTime();
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}

/** The other way round, to the second. */
export function toField(time: number): string {
  const zoned = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return zoned.toISOString().slice(0, 19);
}
