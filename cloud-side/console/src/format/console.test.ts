import { expect, it } from 'vitest';
import { plainText } from './console';

it('keeps text, tabs and lines', () => {
  expect(plainText('a\tb\r\nc\n')).toBe('a\tb\nc\n');
});

it('obeys nothing that a terminal would obey', () => {
  expect(plainText('\u001b[2J\u001b[1;31mred\u001b[0m')).toBe('red');
  expect(plainText('\u001b]0;title\u0007after')).toBe('after');
  expect(plainText('\u001b(Bplain\u001bc')).toBe('plain');
  expect(plainText('a\u0000\u0008b\u007f')).toBe('ab');
});

it('leaves markup as text', () => {
  expect(plainText('<script>alert(1)</script>')).toBe('<script>alert(1)</script>');
});
