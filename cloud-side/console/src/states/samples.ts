/**
 * The last minutes of each group, as this page saw them: the API serves the present only. They are gone when the
 * page is left, and the plots say so. A poll that brought nothing leaves a gap, never a line.
 */
import type { Group } from '../api/types';

export interface Sample {
  /** Milliseconds, server's clock. */
  at: number;
  rpo: number | null;
  /** Bytes written by the application since the capture started, over all volumes. */
  written: number | null;
  /** Bytes that wait in the gateway's spool. */
  spooled: number | null;
  /** Bytes of the capture's journal in use. */
  journal: number | null;
}

export interface Series {
  at: number[];
  rpo: (number | null)[];
  /** Bytes per second since the sample before. */
  rate: (number | null)[];
  spooled: (number | null)[];
  journal: (number | null)[];
}

/** Twenty minutes at one sample in two seconds. */
const KEPT = 600;
/** Samples further apart than this have a gap between them. */
const GAP_MS = 10_000;
/** Samples closer than this are the same poll seen by two queries. */
const SAME_MS = 900;

const samples = new Map<string, Sample[]>();

export function sampleOf(group: Group, at: number): Sample {
  const told = group.volumes.map((volume) => volume.written_bytes);
  const known = told.filter((written): written is number => typeof written === 'number');
  return {
    at,
    rpo: group.rpo_known ? (group.rpo_seconds ?? null) : null,
    written:
      told.length > 0 && known.length === told.length
        ? known.reduce((sum, written) => sum + written, 0)
        : null,
    spooled: group.capture.spooled_bytes ?? null,
    journal: group.capture.journal_used_bytes ?? null,
  };
}

export function addSample(list: Sample[], sample: Sample): Sample[] {
  const last = list.at(-1);
  if (last && sample.at - last.at < SAME_MS) return list;
  return [...list.slice(-(KEPT - 1)), sample];
}

export function remember(group: Group, at: number) {
  samples.set(group.id, addSample(samples.get(group.id) ?? [], sampleOf(group, at)));
}

export function remembered(id: string): Sample[] {
  return samples.get(id) ?? [];
}

/** A new session sees nothing of the last one. */
export function forgetSamples() {
  samples.clear();
}

/** The samples as plots want them: rates from counters, and a gap where nothing was heard. */
export function series(list: Sample[]): Series {
  const made: Series = { at: [], rpo: [], rate: [], spooled: [], journal: [] };
  let before: Sample | undefined;
  for (const sample of list) {
    if (before && sample.at - before.at > GAP_MS) {
      made.at.push((before.at + 1) / 1000);
      for (const line of [made.rpo, made.rate, made.spooled, made.journal]) line.push(null);
      before = undefined;
    }
    made.at.push(sample.at / 1000);
    made.rpo.push(sample.rpo);
    made.rate.push(rate(before, sample));
    made.spooled.push(sample.spooled);
    made.journal.push(sample.journal);
    before = sample;
  }
  return made;
}

/** Null when a counter began anew: a capture that was restarted wrote no negative bytes. */
function rate(before: Sample | undefined, sample: Sample): number | null {
  if (!before || before.written === null || sample.written === null) return null;
  const written = sample.written - before.written;
  return written < 0 ? null : (written * 1000) / (sample.at - before.at);
}
