/** The drill and the failover or failback that are on their way, from wherever in the group one is. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { placement as placementQuery } from '../../api/queries';
import type { Group } from '../../api/types';
import { toDrill, toFailback, toFailover, toRestore } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';

const PAGES = { failover: toFailover, failback: toFailback, restore: toRestore };

export function OnItsWay({ group }: { group: Group }) {
  const { t } = useWords();
  // A restore ends only when the group is protected again, long after production is back at the source.
  const { data } = useQuery(placementQuery(group.name));
  const job = data?.job;
  const drill = group.drill.drill;
  if (!job && !drill) return null;
  return (
    <div className="way-lines">
      {job && (
        <Link className="way" data-frame="live" to={PAGES[job.kind](job.id)}>
          <span className="frame-word frame-word-live">{t('frame.live')}</span>
          <strong>{t(`kind.${job.kind}`)}</strong>
          <span>{t(`step.${job.step}`)}</span>
          <StateBadge kind="stage" value={job.stage} />
          <span className="way-open">{t('common.open')} →</span>
        </Link>
      )}
      {drill && (
        <Link className="way" data-frame="test" to={toDrill(drill)}>
          <span className="frame-word frame-word-test">{t('frame.test')}</span>
          <strong>{t('kind.drill')}</strong>
          <StateBadge kind="drillAxis" value={group.drill.state} />
          <span className="way-open">{t('common.open')} →</span>
        </Link>
      )}
    </div>
  );
}
