import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { failovers } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { toFailover, toGroup } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';

/** Failovers, newest first, of one group or of all. */
export function FailoverList({ group }: { group?: string }) {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(failovers(group, pages.cursor));
  return (
    <Panel title={t('failovers.title')}>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('failovers.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('failovers.title')}
                columns={[
                  { name: t('moves.requested') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('moves.mode') },
                  { name: t('moves.state') },
                  { name: t('moves.step') },
                  { name: t('moves.point') },
                  { name: t('moves.operator') },
                  { name: t('moves.id') },
                ]}
              >
                {items.map((failover) => (
                  <Row key={failover.id}>
                    <Cell>
                      <Link to={toFailover(failover.id)}>
                        <Instant at={failover.requested_at} />
                      </Link>
                    </Cell>
                    {!group && (
                      <Cell>
                        <Link to={toGroup(failover.group_name)}>{failover.group_name}</Link>
                      </Cell>
                    )}
                    <Cell>{t(`mode.${failover.mode}`)}</Cell>
                    <Cell>
                      {failover.end ? (
                        <StateBadge kind="failoverEnd" value={failover.end} />
                      ) : (
                        <StateBadge kind="stage" value={failover.stage} />
                      )}
                    </Cell>
                    <Cell>{t(`step.${failover.step}`)}</Cell>
                    <Cell>
                      <Instant at={failover.point_time} />
                    </Cell>
                    <Cell>{failover.operator}</Cell>
                    <Cell>
                      <Id value={failover.id} />
                    </Cell>
                  </Row>
                ))}
              </Table>
              <Pager pages={pages} next={next_cursor} />
            </>
          )
        }
      </Live>
    </Panel>
  );
}
