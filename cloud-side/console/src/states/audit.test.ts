import { expect, it } from 'vitest';
import {
  addressOf,
  exportPath,
  filterOf,
  headState,
  OUTCOME_TONES,
  OUTCOMES,
  outcomeTone,
  verifyLine,
} from './audit';

const from = '2026-11-01T00:00:00.000Z';
const head = { sequence: 7, hash: 'ab12' };

it('reads from an address what it wrote there', () => {
  const filter = { actor: 'ada & co', outcome: 'refused', from } as const;
  expect(filterOf(new URLSearchParams(addressOf(filter).toString()))).toEqual(filter);
});

it('leaves out of an address what makes no sense', () => {
  expect(filterOf(new URLSearchParams('actor=%20&outcome=well&to=soon&other=1'))).toEqual({});
});

it('exports the period only, whatever else is asked for', () => {
  expect(exportPath({ actor: 'ada' })).toBe('audit/export');
  expect(exportPath({ actor: 'ada', from })).toBe('audit/export?from=2026-11-01T00%3A00%3A00.000Z');
});

it('verifies with the head, unless the export ends before it', () => {
  expect(verifyLine({}, head)).toBe('bcdr audit verify audit.jsonl --key installation.pub --head 7:ab12');
  expect(verifyLine({ from }, head)).toBe(
    'bcdr audit verify audit.jsonl --key installation.pub --partial --head 7:ab12',
  );
  expect(verifyLine({ to: from }, head)).toBe(
    'bcdr audit verify audit.jsonl --key installation.pub --partial',
  );
});

it('has a colour for each outcome, and green for no other', () => {
  expect(Object.keys(OUTCOME_TONES)).toEqual([...OUTCOMES]);
  expect(outcomeTone('pardoned')).toBe('unknown');
  expect(OUTCOMES.filter((outcome) => outcomeTone(outcome) === 'good')).toEqual(['allowed']);
});

it('calls a log written only while it is, and is whole', () => {
  expect(headState({ trouble: null, damage: [] })).toBe('written');
  expect(headState({ trouble: null, damage: ['entry 3 is not as it was'] })).toBe('damaged');
  expect(headState({ trouble: 'no space', damage: ['x'] })).toBe('trouble');
});
