/** Where production is and which way data goes: always in sight, as an arrow between the two sites. */
import type { PlacementState } from '../api/types';
import { useWords } from '../words/words';
import { useStale } from './staleness';

interface Way {
  active: 'source' | 'target' | 'both' | 'none';
  arrow: '→' | '←' | '⇄' | '·';
}

/** While production moves no site is called active. */
export const WAYS: Record<PlacementState, Way> = {
  source_active: { active: 'source', arrow: '→' },
  // Production belongs to the source; what may be written waits, and nothing new is sent.
  restoring: { active: 'source', arrow: '·' },
  failing_over: { active: 'none', arrow: '→' },
  target_uncommitted: { active: 'target', arrow: '·' },
  target_active: { active: 'target', arrow: '·' },
  reversing: { active: 'target', arrow: '←' },
  reverse_protected: { active: 'target', arrow: '←' },
  failing_back: { active: 'none', arrow: '←' },
  source_uncommitted: { active: 'source', arrow: '·' },
  rolling_back: { active: 'none', arrow: '⇄' },
  split_brain_suspected: { active: 'both', arrow: '⇄' },
};

export function Direction({ placement }: { placement: PlacementState | null | undefined }) {
  const { t, state } = useWords();
  const stale = useStale();
  if (!placement) return <span className="quiet">{t('common.unknown')}</span>;
  const { active, arrow } = WAYS[placement] ?? { active: 'none', arrow: '·' };
  const on = (site: 'source' | 'target') =>
    !stale && (active === site || active === 'both') ? 'site is-active' : 'site';
  return (
    <span className="direction" role="img" aria-label={state('placement', placement)}>
      <span className={on('source')}>{t('site.source')}</span>
      <span className="arrow">{arrow}</span>
      <span className={on('target')}>{t('site.target')}</span>
    </span>
  );
}
