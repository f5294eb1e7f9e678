/** The age of the newest point. Unknown is never zero, and an age that was heard some time ago has grown since. */
import type { Group } from '../api/types';
import { useWords } from '../words/words';
import { useStale } from './staleness';

export function Rpo({ group }: { group: Pick<Group, 'rpo_known' | 'rpo_seconds'> }) {
  const { t, span } = useWords();
  const stale = useStale();
  if (!group.rpo_known || group.rpo_seconds == null)
    return <span className="quiet">{t('common.unknown')}</span>;
  if (stale) return <span className="quiet number">{t('rpo.was', { span: span(group.rpo_seconds) })}</span>;
  return (
    <span className="number" title={`${group.rpo_seconds.toFixed(3)} s`}>
      {span(group.rpo_seconds)}
    </span>
  );
}
