/** What waits for somebody: decisions and approvals first, then the alerts that nobody took on. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { planRuns, raisedAlerts } from '../../api/queries';
import type { Group } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { Age } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { toAlert, toGroup, toPlanRun } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { alertsBeside, inbox } from '../../states/inbox';
import { useWords } from '../../words/words';

const SHOWN_ALERTS = 8;

export function InboxPanel({ all }: { all: Group[] }) {
  const { t, known } = useWords();
  // A run that waits is among the newest: a plan has one at most.
  const runs = useQuery(planRuns(undefined, undefined, 50));
  const raised = useQuery(raisedAlerts());
  const items = inbox(all, runs.data?.items);
  return (
    <Panel title={t('inbox.title')} side={<Link to="/alerts">{t('nav.alerts')}</Link>}>
      {items.length > 0 && (
        <ul className="inbox">
          {items.map((item) => (
            <li key={`${item.name} ${item.run ?? ''} ${item.code}`}>
              <Badge tone={item.tone}>{t(`inbox.${item.code}`)}</Badge>
              <Link to={item.run ? toPlanRun(item.run) : toGroup(item.name, item.path)}>{item.name}</Link>
              <span className="quiet">{t(`inbox.${item.code}.what`)}</span>
            </li>
          ))}
        </ul>
      )}
      <Live query={raised}>
        {(page) => {
          const alerts = alertsBeside(items, page.items);
          const left = alerts.length - SHOWN_ALERTS;
          return (
            <>
              {alerts.length > 0 && (
                <ul className="inbox">
                  {alerts.slice(0, SHOWN_ALERTS).map((alert) => (
                    <li key={alert.id}>
                      <StateBadge kind="severity" value={alert.severity} />
                      <Link to={toAlert(alert.id)}>{known('alertCode', alert.code) ?? alert.code}</Link>
                      <span className="named">{alert.object.name}</span>
                      <span className="quiet small">
                        <Age at={alert.raised_at} />
                      </span>
                    </li>
                  ))}
                </ul>
              )}
              {(left > 0 || page.next_cursor) && (
                <p>
                  <Link to="/alerts">
                    {page.next_cursor ? t('inbox.more.many') : t('inbox.more', { count: left })}
                  </Link>
                </p>
              )}
              {items.length === 0 && alerts.length === 0 && runs.data !== undefined && (
                <Empty>{t('inbox.none')}</Empty>
              )}
            </>
          );
        }}
      </Live>
      {runs.error && <p className="quiet">{t('inbox.runs.unknown')}</p>}
    </Panel>
  );
}
