/** What is wrong with a group or a volume of it now. Nothing where nothing is: the answer above says how it is protected. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { alertsAbout } from '../../api/queries';
import type { Group } from '../../api/types';
import { Age } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { toAlert } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';
import { AlertStanding } from '../alert/AlertStanding';

export function AlertsPanel({ group }: { group: Group }) {
  const { t, known } = useWords();
  const query = useQuery(alertsAbout(group.name));
  if (!query.error && (query.data === undefined || query.data.items.length === 0)) return null;
  return (
    <Panel title={t('nav.alerts')}>
      <Live query={query}>
        {({ items }) => (
          <ul className="inbox">
            {items.map((alert) => (
              <li key={alert.id}>
                <StateBadge kind="severity" value={alert.severity} />
                <Link to={toAlert(alert.id)}>{known('alertCode', alert.code) ?? alert.code}</Link>
                {alert.object.kind === 'volume' && <span className="observed">{alert.object.name}</span>}
                <AlertStanding alert={alert} />
                <span className="quiet small">
                  <Age at={alert.raised_at} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Live>
    </Panel>
  );
}
