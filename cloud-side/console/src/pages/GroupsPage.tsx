/** All groups, the worst first. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { groups } from '../api/queries';
import type { Group } from '../api/types';
import { Direction } from '../parts/Direction';
import { Empty } from '../parts/Empty';
import { HealthBadge, ReplicationBadge } from '../parts/Health';
import { Age } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Panel } from '../parts/Panel';
import { toGroup } from '../parts/paths';
import { Rpo } from '../parts/Rpo';
import { Spark } from '../parts/Spark';
import { Badge, StateBadge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { useMore } from '../parts/useMore';
import { byHealth } from '../states/inbox';
import { remembered } from '../states/samples';
import { useWords } from '../words/words';

export function GroupsPage() {
  const { t } = useWords();
  const query = useQuery(groups());
  return (
    <>
      <PageHead title={t('nav.groups')} />
      <Live query={query}>{(all) => <List all={all} />}</Live>
    </>
  );
}

function List({ all }: { all: Group[] }) {
  const { t } = useWords();
  const [wanted, setWanted] = useState('');
  const found = all
    .filter((group) => group.name.toLowerCase().includes(wanted.trim().toLowerCase()))
    .sort(byHealth);
  const { shown, more } = useMore(found);
  if (all.length === 0) return <Empty>{t('groups.none')}</Empty>;
  return (
    <Panel
      title={t('groups.list', { count: all.length })}
      side={
        all.length > 5 && (
          <TextInput
            size="xs"
            placeholder={t('groups.find')}
            aria-label={t('groups.find')}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
        )
      }
    >
      <Table
        caption={t('nav.groups')}
        columns={[
          { name: t('groups.name') },
          { name: t('groups.production') },
          { name: t('groups.health') },
          { name: t('groups.replication') },
          { name: t('groups.rpo'), number: true },
          { name: t('groups.rpo.line') },
          { name: t('groups.readiness') },
          { name: t('groups.drill') },
        ]}
      >
        {shown.map((group) => (
          <GroupRow key={group.id} group={group} />
        ))}
      </Table>
      {more}
    </Panel>
  );
}

function GroupRow({ group }: { group: Group }) {
  const { t, known } = useWords();
  const reason = group.health.reasons[0];
  const { progress } = group.replication;
  return (
    <Row>
      <Cell>
        <Link className="name" to={toGroup(group.name)}>
          {group.name}
        </Link>
        <div className="quiet small">{t('groups.volumes', { count: group.volumes.length })}</div>
      </Cell>
      <Cell>
        <Direction placement={group.placement} />
        {group.placement && group.placement !== 'source_active' && (
          <div className="small">
            <StateBadge kind="placement" value={group.placement} />
          </div>
        )}
      </Cell>
      <Cell>
        <HealthBadge group={group} />
        {reason && <div className="quiet small">{known('health', reason.code) ?? reason.code}</div>}
      </Cell>
      <Cell>
        <ReplicationBadge group={group} />
        {progress && progress.total_bytes > 0 && (
          <div className="quiet small number">
            {Math.floor((100 * progress.done_bytes) / progress.total_bytes)} %
          </div>
        )}
      </Cell>
      <NumberCell>
        <Rpo group={group} />
      </NumberCell>
      <Cell>
        <Spark
          values={remembered(group.id)
            .slice(-60)
            .map((sample) => sample.rpo)}
          label={t('groups.rpo.line')}
        />
      </Cell>
      <Cell>
        <StateBadge kind="readiness" value={group.readiness.state} />
        {group.readiness.checked_at && (
          <div className="quiet small">
            <Age at={group.readiness.checked_at} />
          </div>
        )}
      </Cell>
      <Cell>
        {group.drill.last_passed_at ? (
          <Age at={group.drill.last_passed_at} />
        ) : (
          <span className="quiet">{t('groups.drill.never')}</span>
        )}
        {group.drill.state !== 'none' && (
          <div className="small">
            <StateBadge kind="drillAxis" value={group.drill.state} />
          </div>
        )}
        {group.drill.overdue_since && (
          <div className="small">
            <Badge tone="warn">{t('groups.drill.overdue')}</Badge>
          </div>
        )}
      </Cell>
    </Row>
  );
}
