/** The audit log: what a list is narrowed to, which is in the page's address, and how an export is verified. */
import type { AuditHead } from '../api/types';
import type { Tone } from './tones';

export const OUTCOMES = ['begun', 'allowed', 'refused', 'failed', 'unknown'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const OUTCOME_TONES: Record<Outcome, Tone> = {
  begun: 'busy',
  allowed: 'good',
  refused: 'warn',
  failed: 'bad',
  unknown: 'unknown',
};

/** The colour of an outcome; unknown for one that this console never heard of. */
export function outcomeTone(outcome: string): Tone {
  return (OUTCOME_TONES as Record<string, Tone>)[outcome] ?? 'unknown';
}

export interface AuditFilter {
  actor?: string;
  action?: string;
  object?: string;
  outcome?: Outcome;
  /** Instants. */
  from?: string;
  to?: string;
}

const TEXTS = ['actor', 'action', 'object'] as const;
const TIMES = ['from', 'to'] as const;

/** What an address asks for; what makes no sense in it is left out. */
export function filterOf(address: URLSearchParams): AuditFilter {
  const filter: AuditFilter = {};
  for (const name of TEXTS) {
    const text = address.get(name)?.trim();
    if (text) filter[name] = text;
  }
  for (const name of TIMES) {
    const text = address.get(name);
    if (text && !Number.isNaN(Date.parse(text))) filter[name] = text;
  }
  const outcome = OUTCOMES.find((known) => known === address.get('outcome'));
  if (outcome) filter.outcome = outcome;
  return filter;
}

/** The address of a filter. */
export function addressOf(filter: AuditFilter): URLSearchParams {
  return new URLSearchParams(
    Object.entries(filter).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}

/** Where the export is, of the period that the filter names. The other parts of it are no part of an export. */
export function exportPath({ from, to }: AuditFilter): string {
  const query = addressOf({ from, to }).toString();
  return query ? `audit/export?${query}` : 'audit/export';
}

/** What verifies that export. An export that ends early need not reach the newest head. */
export function verifyLine({ from, to }: AuditFilter, head: Pick<AuditHead, 'sequence' | 'hash'>): string {
  const parts = ['bcdr audit verify audit.jsonl --key installation.pub'];
  if (from || to) parts.push('--partial');
  if (!to) parts.push(`--head ${head.sequence}:${head.hash}`);
  return parts.join(' ');
}

/** Whether the log can be written and is as it was written. */
export function headState({ trouble, damage }: Pick<AuditHead, 'trouble' | 'damage'>) {
  if (trouble) return 'trouble';
  return damage.length > 0 ? 'damaged' : 'written';
}
