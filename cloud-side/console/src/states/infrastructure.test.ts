import { expect, it } from 'vitest';
import type { Group } from '../api/types';
import { certificates, gateways, shortPeer } from './infrastructure';

function group(name: string, peer: string | null, spooled: number | null, since = '2026-11-23T01:00:00Z') {
  return {
    name,
    gateway: { connected: peer !== null, since, peer },
    capture: { connected: peer !== null, spooled_bytes: spooled },
  } as unknown as Group;
}

it('names each gateway once, and first what is connected to none', () => {
  const made = gateways([
    group('a', 'bcdr://ins/gateway/east', 10),
    group('b', 'bcdr://ins/gateway/east', 20, '2026-11-23T02:00:00Z'),
    group('c', 'bcdr://ins/gateway/west', null),
    group('d', null, null),
  ]);
  expect(made.map(({ peer, groups, spooled }) => [peer, groups.length, spooled])).toEqual([
    [null, 1, null],
    ['bcdr://ins/gateway/east', 2, 30],
    ['bcdr://ins/gateway/west', 1, null],
  ]);
  expect(made[1]?.since).toBe('2026-11-23T02:00:00Z');
  expect(shortPeer('bcdr://ins/gateway/east')).toBe('east');
  expect(shortPeer('east')).toBe('east');
});

it('colours a certificate as the alert about it does', () => {
  const now = Date.parse('2026-11-23T00:00:00Z');
  const ends = (days: number, name: string) => ({ labels: { name }, value: now / 1000 + days * 86_400 });
  const made = certificates([ends(29, 'far'), ends(-1, 'over'), ends(10, 'soon'), ends(2, 'now')], now);
  expect(made.map(({ name, tone }) => [name, tone])).toEqual([
    ['over', 'bad'],
    ['now', 'bad'],
    ['soon', 'warn'],
    ['far', 'good'],
  ]);
  expect(made[3]?.ends).toBe('2026-12-22T00:00:00.000Z');
});
