/** What stands between production and the replica, as far as the groups tell of it. Pure. */
import type { Group } from '../api/types';
import type { MetricSample } from './metrics';
import type { Tone } from './tones';

export interface GatewayLine {
  /** Who it is; null for groups to which none is connected. */
  peer: string | null;
  connected: boolean;
  groups: Group[];
  /** What waits in its spool, over its groups; null when it is not known of all. */
  spooled: number | null;
  /** Since when the newest of its sessions is as it is. */
  since: string;
}

/** Each gateway once, with the groups that it feeds; what is not connected comes first. */
export function gateways(groups: Group[]): GatewayLine[] {
  const lines = new Map<string, GatewayLine>();
  for (const group of groups) {
    const { connected, since } = group.gateway;
    const peer = group.gateway.peer ?? null;
    const key = JSON.stringify([peer, connected]);
    const line = lines.get(key) ?? { peer, connected, groups: [], spooled: 0, since };
    const spooled = group.capture.spooled_bytes;
    line.groups.push(group);
    line.spooled = line.spooled === null || spooled == null ? null : line.spooled + spooled;
    if (Date.parse(since) > Date.parse(line.since)) line.since = since;
    lines.set(key, line);
  }
  return [...lines.values()].sort(
    (one, other) =>
      Number(one.connected) - Number(other.connected) || (one.peer ?? '').localeCompare(other.peer ?? ''),
  );
}

/** The last part of `bcdr://INSTALLATION/gateway/NAME`, which is what people call it. */
export function shortPeer(peer: string): string {
  return peer.split('/').at(-1) || peer;
}

export interface Certificate {
  name: string;
  /** RFC 3339. */
  ends: string;
  tone: Tone;
}

const DAY_MS = 86_400_000;
/** As the alerts about it: from here on it is a warning, and critical. */
const WARNING_DAYS = 14;
const CRITICAL_DAYS = 3;

/** When certificates end, the first first, by the metric that says so in seconds since 1970. */
export function certificates(samples: MetricSample[], now: number): Certificate[] {
  return samples
    .map(({ labels, value }) => {
      const days = (value * 1000 - now) / DAY_MS;
      const tone: Tone = days < CRITICAL_DAYS ? 'bad' : days < WARNING_DAYS ? 'warn' : 'good';
      return { name: labels.name ?? '', ends: new Date(value * 1000).toISOString(), tone };
    })
    .sort((one, other) => Date.parse(one.ends) - Date.parse(other.ends));
}
