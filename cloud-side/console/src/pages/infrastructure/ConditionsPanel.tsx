/** The alerts about the installation itself, its certificates and channels; nothing where there is none. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { activeAlerts } from '../../api/queries';
import { Age } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { toAlert } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';
import { AlertStanding } from '../alert/AlertStanding';

const OF_GROUPS = new Set(['group', 'volume']);

export function ConditionsPanel() {
  const { t, known } = useWords();
  const query = useQuery(activeAlerts());
  const own = query.data?.items.filter(({ object }) => !OF_GROUPS.has(object.kind)) ?? [];
  if (!query.error && own.length === 0) return null;
  return (
    <Panel title={t('nav.alerts')}>
      <Live query={query}>
        {() => (
          <ul className="inbox">
            {own.map((alert) => (
              <li key={alert.id}>
                <StateBadge kind="severity" value={alert.severity} />
                <Link to={toAlert(alert.id)}>{known('alertCode', alert.code) ?? alert.code}</Link>
                <span className="named">
                  {known('alertObject', alert.object.kind) ?? alert.object.kind} {alert.object.name}
                </span>
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
