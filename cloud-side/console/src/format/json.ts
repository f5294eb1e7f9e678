/** Where a text stops being JSON. Browsers tell it in words that differ, and some not at all. */

const BLANK = /[ \t\r\n]*/y;
const SCALAR =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows none inside of a text
  /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON allows none inside of a text
const NAME = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

/** The place of the first character that cannot be there; null for a text that is JSON. */
export function brokenAt(text: string): number | null {
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return false;
    at += found[0].length;
    return true;
  };
  const sign = (one: string): boolean => {
    take(BLANK);
    if (text[at] !== one) return false;
    at += 1;
    return true;
  };
  const value = (depth: number): boolean => {
    take(BLANK);
    if (depth > 200) return false;
    if (sign('{')) return sign('}') || list(() => name() && sign(':') && value(depth + 1), '}');
    if (sign('[')) return sign(']') || list(() => value(depth + 1), ']');
    return take(SCALAR);
  };
  const name = (): boolean => {
    take(BLANK);
    return take(NAME);
  };
  const list = (one: () => boolean, end: string): boolean => {
    do {
      if (!one()) return false;
    } while (sign(','));
    return sign(end);
  };
  const whole = value(0);
  take(BLANK);
  return whole && at === text.length ? null : at;
}
