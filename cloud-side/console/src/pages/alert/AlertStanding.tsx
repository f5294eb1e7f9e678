/** How an alert stands, and what it is about. */
import { Link } from 'react-router';
import type { Alert } from '../../api/types';
import { toGroup } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';

export function AlertStanding({ alert }: { alert: Pick<Alert, 'state' | 'muted' | 'unjudged'> }) {
  const { t } = useWords();
  return (
    <>
      <StateBadge kind="alert" value={alert.state} />{' '}
      {alert.muted && <Badge tone="plain">{t('alerts.muted')}</Badge>}{' '}
      {alert.unjudged && <Badge tone="unknown">{t('alerts.unjudged')}</Badge>}
    </>
  );
}

export function AlertObject({ object }: { object: Alert['object'] }) {
  const { known } = useWords();
  return (
    <>
      {object.kind === 'group' ? (
        <Link to={toGroup(object.name)}>{object.name}</Link>
      ) : (
        <span className="observed">{object.name}</span>
      )}
      <div className="quiet small">{known('alertObject', object.kind) ?? object.kind}</div>
    </>
  );
}
