import { describe, expect, it } from 'vitest';
import { cardsOf } from './CardFields';
import { firstTime } from './PointField';
import { policyOf } from './PolicyField';
import { toGroup } from './paths';
import { sparkPath } from './Spark';
import { STALE_AFTER_MS, staleSince } from './staleness';

describe('staleness', () => {
  it('begins when several polls brought nothing', () => {
    expect(staleSince(1000, 1000 + STALE_AFTER_MS, true)).toBeNull();
    expect(staleSince(1000, 1001 + STALE_AFTER_MS, true)).toBe(1000);
  });

  it('is no matter of what never changes', () => {
    expect(staleSince(1000, 1_000_000, false)).toBeNull();
  });
});

describe('a commit policy', () => {
  it('is what the API takes', () => {
    expect(policyOf('manual', 'whatever')).toBe('manual');
    expect(policyOf('auto_commit', '2h')).toEqual({ auto_commit: { after_seconds: 7200 } });
    expect(policyOf('auto_rollback', '30m')).toEqual({ auto_rollback: { after_seconds: 1800 } });
  });

  it('is none outside of a minute to 30 days', () => {
    expect(policyOf('auto_commit', '59')).toBeNull();
    expect(policyOf('auto_commit', '31d')).toBeNull();
    expect(policyOf('auto_commit', 'soon')).toBeNull();
  });
});

describe('network cards', () => {
  const card = { key: 1, connected: true, address: '', forwards: '' };

  it('are as the API reads them', () => {
    expect(cardsOf([{ ...card, forwards: '192.0.2.10:8443>443, 2222>22' }])).toEqual([
      {
        address: null,
        connection: {
          host_nat: {
            forward: [
              { host_address: '192.0.2.10', host_port: 8443, machine_port: 443 },
              { host_port: 2222, machine_port: 22 },
            ],
          },
        },
      },
    ]);
    expect(cardsOf([{ ...card, connected: false, address: '52:54:00:12:34:56' }])).toEqual([
      { address: '52:54:00:12:34:56', connection: 'isolated' },
    ]);
  });

  it('are refused before they are sent', () => {
    expect(cardsOf([{ ...card, forwards: '443' }])).toBeNull();
    expect(cardsOf([{ ...card, forwards: '70000>22' }])).toBeNull();
    expect(cardsOf([{ ...card, address: '52-54' }])).toBeNull();
  });
});

describe('a spark line', () => {
  it('is broken where nothing is known', () => {
    expect(sparkPath([1, null, 1, 1], 30, 11)).toBe('M0.0 1.0M20.0 1.0L30.0 1.0');
  });

  it('lies on the ground when all is zero', () => {
    expect(sparkPath([0, 0], 10, 11)).toBe('M0.0 10.0L10.0 10.0');
  });
});

describe('addresses', () => {
  it('escape what comes from outside', () => {
    expect(toGroup('a/../b?c#d', 'points')).toBe('/groups/a%2F..%2Fb%3Fc%23d/points');
  });
});

describe('the time that a point is first asked for by', () => {
  it('is not before the newest point, so that the youngest group has one', () => {
    const now = Date.parse('2026-11-23T17:40:00Z');
    expect(firstTime('2026-11-23T17:39:58.400Z', now)).toBe(Date.parse('2026-11-23T17:39:59Z'));
    expect(firstTime('2026-11-23T17:39:58Z', now)).toBe(Date.parse('2026-11-23T17:39:58Z'));
    expect(firstTime(undefined, now)).toBe(now);
  });
});
