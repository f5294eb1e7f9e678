import { expect, it } from 'vitest';
import { brokenAt } from './json';

it('finds nothing in what is JSON', () => {
  for (const text of ['{}', ' [1, -2.5e3, "a\\n\\u00e9", true, null, {"a": {"b": []}}]\n', '"x"', '0'])
    expect(brokenAt(text), text).toBeNull();
});

it('names the first character that cannot be there', () => {
  expect(brokenAt('{"a": [ }')).toBe(8);
  expect(brokenAt('{"a": 1,}')).toBe(8);
  expect(brokenAt('{"a" 1}')).toBe(5);
  expect(brokenAt('[1 2]')).toBe(3);
  expect(brokenAt('')).toBe(0);
  expect(brokenAt('{} x')).toBe(3);
});

it('agrees with the browser on what is JSON', () => {
  const pieces = ['{', '}', '[', ']', ',', ':', '"a"', '1', '01', 'nul', ' '];
  for (let seed = 1; seed < 4000; seed += 1) {
    let text = '';
    for (let rest = seed * 7919; rest > 0; rest = Math.floor(rest / 11)) text += pieces[rest % 11];
    let good = true;
    try {
      JSON.parse(text);
    } catch {
      good = false;
    }
    expect(brokenAt(text) === null, text).toBe(good);
  }
});
