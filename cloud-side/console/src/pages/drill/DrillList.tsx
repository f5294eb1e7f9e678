import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { drills } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { toDrill, toGroup } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';

/** Drills, newest first, of one group or of all. */
export function DrillList({ group }: { group?: string }) {
  const { t, took } = useWords();
  const pages = usePages();
  const query = useQuery(drills(group, pages.cursor));
  return (
    <Panel title={t('drills.title')}>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('drills.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('drills.title')}
                columns={[
                  { name: t('drills.requested') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('drills.state') },
                  { name: t('drills.point') },
                  { name: t('drills.rto'), number: true },
                  { name: t('drills.id') },
                ]}
              >
                {items.map((drill) => (
                  <Row key={drill.id}>
                    <Cell>
                      <Link to={toDrill(drill.id)}>
                        <Instant at={drill.requested_at} />
                      </Link>
                    </Cell>
                    {!group && (
                      <Cell>
                        <Link to={toGroup(drill.group_name)}>{drill.group_name}</Link>
                      </Cell>
                    )}
                    <Cell>
                      <StateBadge kind="drill" value={drill.state} />
                      {drill.reason && (
                        <div className="quiet small observed">
                          <Served>{drill.reason}</Served>
                        </div>
                      )}
                    </Cell>
                    <Cell>
                      <Instant at={drill.point.time} />
                      {drill.point.label && <span className="label-mark">{drill.point.label}</span>}
                    </Cell>
                    <NumberCell>
                      {drill.report?.recovery_times.login_seconds != null ? (
                        took(drill.report.recovery_times.login_seconds)
                      ) : (
                        <span className="quiet">{t('common.none')}</span>
                      )}
                    </NumberCell>
                    <Cell>
                      <Id value={drill.id} />
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
