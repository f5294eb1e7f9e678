import { expect, it } from 'vitest';
import { currentHearing, heard, notHeard } from './hearing';

const NOW = Date.parse('2026-11-23T07:00:00.500Z');

it('takes less than two seconds for the same clock', () => {
  heard('Mon, 23 Nov 2026 07:00:01 GMT', NOW);
  expect(currentHearing()).toEqual({ heardAt: NOW, silentSince: null, offset: 0 });
});

it('counts with the server when the clocks differ', () => {
  heard('Mon, 23 Nov 2026 07:01:00 GMT', NOW);
  expect(currentHearing().offset).toBe(60_000);
});

it('is silent since the last answer, not since the last question', () => {
  heard(null, NOW);
  notHeard(NOW + 5000);
  notHeard(NOW + 9000);
  expect(currentHearing().silentSince).toBe(NOW);
  heard(null, NOW + 10_000);
  expect(currentHearing().silentSince).toBeNull();
});
