/** The groups whose newest point is oldest, each with the last day as the cloud side measured it. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { samples } from '../../api/queries';
import type { Group } from '../../api/types';
import { Panel } from '../../parts/Panel';
import { Plot } from '../../parts/Plot';
import { toGroup } from '../../parts/paths';
import { Rpo } from '../../parts/Rpo';
import { useTimes } from '../../parts/times';
import { ageHistory, byAge } from '../../states/overview';
import { useWords } from '../../words/words';

/** Each asks the API by itself, so they are few. */
const SHOWN = 6;
const DAY_SECONDS = 86_400;

export function AgePanel({ all }: { all: Group[] }) {
  const { t } = useWords();
  return (
    <Panel
      title={t('overview.ages')}
      side={
        all.length > SHOWN && (
          <Link to="/groups">{t('overview.of', { shown: SHOWN, count: all.length })}</Link>
        )
      }
    >
      <p className="quiet small">{t('overview.ages.what')}</p>
      <div className="plots">
        {[...all]
          .sort(byAge)
          .slice(0, SHOWN)
          .map((group) => (
            <GroupAges key={group.id} group={group} />
          ))}
      </div>
    </Panel>
  );
}

function GroupAges({ group }: { group: Group }) {
  const { t, span, wholeSpan } = useWords();
  const { clockMinutes } = useTimes();
  const { data, error } = useQuery(samples(group.name));
  const history = data && ageHistory(data);
  const said = !history
    ? t(error ? 'overview.ages.unread' : 'live.loading')
    : history.highest === null
      ? t('overview.ages.none')
      : t('overview.ages.worst', { span: span(history.highest) });
  return (
    <figure>
      <figcaption>
        <Link className="name" to={toGroup(group.name)}>
          {group.name}
        </Link>
        <strong>
          <Rpo group={group} />
        </strong>
      </figcaption>
      {history && history.highest !== null && (
        <Plot
          label={`${group.name}: ${said}`}
          at={history.at}
          values={history.worst}
          format={span}
          clock={clockMinutes}
          least={DAY_SECONDS}
          height={90}
          bars
        />
      )}
      <div className="quiet small">
        {said}
        {history &&
          history.blind >= 1 &&
          ` · ${t('overview.ages.blind', { span: wholeSpan(history.blind) })}`}
      </div>
    </figure>
  );
}
