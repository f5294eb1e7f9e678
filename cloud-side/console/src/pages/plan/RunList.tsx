import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { planRuns } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { toPlan, toPlanRun } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { frameOf, ranFor, settled } from '../../states/runs';
import { useWords } from '../../words/words';

/** Runs of plans, newest first, of one plan or of all. */
export function RunList({ plan }: { plan?: string }) {
  const { t, wholeSpan } = useWords();
  const now = useNow();
  const pages = usePages();
  const query = useQuery(planRuns(plan, pages.cursor));
  return (
    <Panel title={t('runs.title')}>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('runs.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('runs.title')}
                columns={[
                  { name: t('runs.began') },
                  ...(plan ? [] : [{ name: t('runs.plan') }]),
                  { name: t('runs.mode') },
                  { name: t('moves.state') },
                  { name: t('runs.settled'), number: true },
                  { name: t('steps.took'), number: true },
                  { name: t('moves.operator') },
                  { name: t('moves.id') },
                ]}
              >
                {items.map((run) => {
                  const { done, of } = settled(run);
                  return (
                    <Row key={run.id}>
                      <Cell>
                        <Link to={toPlanRun(run.id)}>
                          <Instant at={run.began_at} />
                        </Link>
                      </Cell>
                      {!plan && (
                        <Cell>
                          <Link to={toPlan(run.plan)}>{run.plan}</Link>
                        </Cell>
                      )}
                      <Cell>
                        <Badge tone={frameOf(run.mode) === 'test' ? 'busy' : 'bad'}>
                          {t(`planMode.${run.mode}`)}
                        </Badge>
                      </Cell>
                      <Cell>
                        <StateBadge kind="planRun" value={run.state} />
                      </Cell>
                      <NumberCell>
                        {done} / {of}
                      </NumberCell>
                      <NumberCell>{wholeSpan(ranFor(run, now))}</NumberCell>
                      <Cell>{run.operator}</Cell>
                      <Cell>
                        <Id value={run.id} />
                      </Cell>
                    </Row>
                  );
                })}
              </Table>
              <Pager pages={pages} next={next_cursor} />
            </>
          )
        }
      </Live>
    </Panel>
  );
}
