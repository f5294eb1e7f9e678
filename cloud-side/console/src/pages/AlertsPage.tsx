/** What is wrong, and whether it is told. */
import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { alerts } from '../api/queries';
import type { Alert, AlertSeverity } from '../api/types';
import { Empty } from '../parts/Empty';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { useNow } from '../parts/now';
import { PageHead } from '../parts/PageHead';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { toAlert } from '../parts/paths';
import { Served } from '../parts/Served';
import { StateBadge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { usePages } from '../parts/usePages';
import { type AlertFilter, FILTERS, lasted, picked } from '../states/alerts';
import { useWords } from '../words/words';
import { AlertObject, AlertStanding } from './alert/AlertStanding';
import { ToldBy } from './alert/ToldBy';

export function AlertsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.alerts')} note={t('alerts.what')} />
      <AlertList />
      <ToldBy />
    </>
  );
}

const SEVERITIES = ['any', 'critical', 'warning'] as const;

function AlertList() {
  const { t } = useWords();
  const [filter, setFilter] = useState<AlertFilter>('active');
  const [severity, setSeverity] = useState<AlertSeverity | 'any'>('any');
  const pages = usePages();
  const query = useQuery(alerts(filter, severity === 'any' ? undefined : severity, pages.cursor));
  return (
    <Panel
      title={t('alerts.title')}
      side={
        <div className="button-row">
          <SegmentedControl
            size="xs"
            value={severity}
            onChange={(next) => {
              setSeverity(next as typeof severity);
              pages.first();
            }}
            aria-label={t('alerts.severity')}
            data={SEVERITIES.map((value) => ({
              value,
              label: value === 'any' ? t('alerts.any') : t(`state.severity.${value}`),
            }))}
          />
          <SegmentedControl
            size="xs"
            value={filter}
            onChange={(next) => {
              setFilter(next as AlertFilter);
              pages.first();
            }}
            aria-label={t('alerts.state')}
            data={FILTERS.map((value) => ({ value, label: t(`alerts.filter.${value}`) }))}
          />
        </div>
      }
    >
      <Live query={query}>
        {({ items, next_cursor }) => {
          const shown = picked(items, filter);
          return (
            <>
              {shown.length === 0 ? (
                <Empty>{t(filter === 'active' ? 'alerts.none.active' : 'alerts.none')}</Empty>
              ) : (
                <Table
                  caption={t('alerts.title')}
                  columns={[
                    { name: t('alerts.raised') },
                    { name: t('alerts.state') },
                    { name: t('alerts.code') },
                    { name: t('alerts.object') },
                    { name: t('alerts.lasts'), number: true },
                    { name: t('alerts.times'), number: true },
                  ]}
                >
                  {shown.map((alert) => (
                    <AlertRow key={alert.id} alert={alert} />
                  ))}
                </Table>
              )}
              <Pager pages={pages} next={next_cursor} />
            </>
          );
        }}
      </Live>
    </Panel>
  );
}

function AlertRow({ alert }: { alert: Alert }) {
  const { known, wholeSpan } = useWords();
  const now = useNow();
  return (
    <Row>
      <Cell>
        <Link to={toAlert(alert.id)}>
          <Instant at={alert.raised_at} />
        </Link>
      </Cell>
      <Cell>
        <StateBadge kind="severity" value={alert.severity} />
        <div className="small">
          <AlertStanding alert={alert} />
        </div>
      </Cell>
      <Cell>
        <Link className="name" to={toAlert(alert.id)}>
          {known('alertCode', alert.code) ?? alert.code}
        </Link>
        <div className="quiet small observed">
          <Served>{alert.detail}</Served>
        </div>
      </Cell>
      <Cell>
        <AlertObject object={alert.object} />
      </Cell>
      <NumberCell>{wholeSpan(lasted(alert, now))}</NumberCell>
      <NumberCell>{alert.occurrences}</NumberCell>
    </Row>
  );
}
