// biome-ignore-all lint/suspicious/noControlCharactersInRegex: control characters are what is removed
/** The text of a machine's console. It comes from a machine that may be hostile: nothing of it is obeyed. */

const ESCAPE = '\\x1b';
/** Sequences that a terminal obeys: colours, cursor, titles, character sets. */
const SEQUENCES = new RegExp(
  `${ESCAPE}(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\\x07\\x1b]*(?:\\x07|${ESCAPE}\\\\)|[()][A-Z0-9]|[ -~])`,
  'g',
);
/** All control characters but the tab and the line feed. */
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;

export function plainText(text: string): string {
  return text.replace(SEQUENCES, '').replaceAll('\r\n', '\n').replace(CONTROLS, '');
}
