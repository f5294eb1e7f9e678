import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { failbacks } from '../../api/queries';
import { Bytes } from '../../parts/Bytes';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { toFailback, toGroup } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';

/** Failbacks, newest first, of one group or of all. */
export function FailbackList({ group }: { group?: string }) {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(failbacks(group, pages.cursor));
  return (
    <Panel title={t('failbacks.title')}>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('failbacks.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('failbacks.title')}
                columns={[
                  { name: t('moves.requested') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('moves.seed') },
                  { name: t('moves.state') },
                  { name: t('moves.step') },
                  { name: t('moves.sent'), number: true },
                  { name: t('moves.operator') },
                  { name: t('moves.id') },
                ]}
              >
                {items.map((failback) => (
                  <Row key={failback.id}>
                    <Cell>
                      <Link to={toFailback(failback.id)}>
                        <Instant at={failback.requested_at} />
                      </Link>
                    </Cell>
                    {!group && (
                      <Cell>
                        <Link to={toGroup(failback.group_name)}>{failback.group_name}</Link>
                      </Cell>
                    )}
                    <Cell>{t(`seed.${failback.seed}`)}</Cell>
                    <Cell>
                      {failback.end ? (
                        <StateBadge kind="failbackEnd" value={failback.end} />
                      ) : (
                        <StateBadge kind="stage" value={failback.stage} />
                      )}
                    </Cell>
                    <Cell>{t(`step.${failback.step}`)}</Cell>
                    <NumberCell>
                      <Bytes value={failback.sent_bytes} />
                    </NumberCell>
                    <Cell>{failback.operator}</Cell>
                    <Cell>
                      <Id value={failback.id} />
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
