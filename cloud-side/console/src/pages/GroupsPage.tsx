/** All groups, the worst first, and what waits for somebody. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { groups, planRuns } from '../api/queries';
import type { Group } from '../api/types';
import { Direction } from '../parts/Direction';
import { Empty } from '../parts/Empty';
import { HealthBadge, ReplicationBadge } from '../parts/Health';
import { Age } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Panel } from '../parts/Panel';
import { toGroup, toPlanRun } from '../parts/paths';
import { Rpo } from '../parts/Rpo';
import { Spark } from '../parts/Spark';
import { Badge, StateBadge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { byHealth, inbox } from '../states/inbox';
import { remembered } from '../states/samples';
import { useWords } from '../words/words';

export function GroupsPage() {
  const { t } = useWords();
  const query = useQuery(groups());
  return (
    <>
      <PageHead title={t('nav.groups')} />
      <Live query={query}>
        {(all) => (
          <>
            <Tally all={all} />
            <Inbox all={all} />
            <List all={all} />
          </>
        )}
      </Live>
    </>
  );
}

function Tally({ all }: { all: Group[] }) {
  const { t, span } = useWords();
  const count = (level: string) => all.filter((group) => group.health.level === level).length;
  const known = all.filter((group) => group.rpo_known && group.rpo_seconds != null);
  const worst = known.reduce<number | null>(
    (most, group) => Math.max(most ?? 0, group.rpo_seconds ?? 0),
    null,
  );
  const blind = all.length - known.length;
  const ready = all.filter((group) => group.readiness.state === 'ready').length;
  const proven = all.filter((group) => group.drill.last_passed_at).length;
  const figures = [
    { name: t('tally.ok'), value: String(count('ok')), tone: count('ok') === all.length ? 'good' : 'plain' },
    { name: t('tally.warning'), value: String(count('warning')), tone: count('warning') ? 'warn' : 'plain' },
    {
      name: t('tally.critical'),
      value: String(count('critical')),
      tone: count('critical') ? 'bad' : 'plain',
    },
    {
      name: t('tally.unknown'),
      value: String(count('unknown')),
      tone: count('unknown') ? 'unknown' : 'plain',
    },
    {
      name: blind ? t('tally.rpo.blind', { count: blind }) : t('tally.rpo'),
      value: worst === null ? t('common.unknown') : span(worst),
      tone: blind ? 'warn' : 'plain',
    },
    { name: t('tally.ready'), value: `${ready} / ${all.length}`, tone: 'plain' },
    { name: t('tally.proven'), value: `${proven} / ${all.length}`, tone: 'plain' },
  ];
  return (
    <div className="tally">
      {figures.map(({ name, value, tone }) => (
        <div className="figure" data-tone={tone} key={name}>
          <div className="figure-value number">{value}</div>
          <div className="figure-name">{name}</div>
        </div>
      ))}
    </div>
  );
}

function Inbox({ all }: { all: Group[] }) {
  const { t } = useWords();
  // A run that waits is among the newest: a plan has one at most.
  const runs = useQuery(planRuns(undefined, undefined, 50));
  const items = inbox(all, runs.data?.items);
  if (items.length === 0) return null;
  return (
    <Panel title={t('inbox.title')}>
      <ul className="inbox">
        {items.map((item) => (
          <li key={`${item.name} ${item.run ?? ''} ${item.code}`}>
            <Badge tone={item.tone}>{t(`inbox.${item.code}`)}</Badge>
            <Link to={item.run ? toPlanRun(item.run) : toGroup(item.name, item.path)}>{item.name}</Link>
            <span className="quiet">{t(`inbox.${item.code}.what`)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function List({ all }: { all: Group[] }) {
  const { t } = useWords();
  const [wanted, setWanted] = useState('');
  const shown = all
    .filter((group) => group.name.toLowerCase().includes(wanted.trim().toLowerCase()))
    .sort(byHealth);
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
