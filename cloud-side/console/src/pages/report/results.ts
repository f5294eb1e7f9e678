import type { Tone } from '../../states/tones';

const TONES: Record<string, Tone> = {
  passed: 'good',
  failed: 'bad',
  cleanup_failed: 'bad',
  cancelled: 'plain',
  rolled_back: 'plain',
};

/** The document has results as text: one that this console never heard of is not known to be good. */
export function resultTone(result: string): Tone {
  return TONES[result] ?? 'unknown';
}
