import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { restores } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { toGroup, toRestore } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';

/** Restores in place, newest first, of one group or of all. */
export function RestoreList({ group }: { group?: string }) {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(restores(group, pages.cursor));
  return (
    <Panel title={t('restores.title')}>
      <p className="quiet">{t('restores.what')}</p>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('restores.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('restores.title')}
                columns={[
                  { name: t('moves.requested') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('moves.state') },
                  { name: t('moves.step') },
                  { name: t('restore.point') },
                  { name: t('restore.undo_point') },
                  { name: t('moves.operator') },
                  { name: t('moves.id') },
                ]}
              >
                {items.map((restore) => (
                  <Row key={restore.id}>
                    <Cell>
                      <Link to={toRestore(restore.id)}>
                        <Instant at={restore.requested_at} />
                      </Link>
                      {restore.undoes && <div className="quiet small">{t('restore.is_undo')}</div>}
                    </Cell>
                    {!group && (
                      <Cell>
                        <Link to={toGroup(restore.group_name)}>{restore.group_name}</Link>
                      </Cell>
                    )}
                    <Cell>
                      {restore.end ? (
                        <StateBadge kind="restoreEnd" value={restore.end} />
                      ) : (
                        <StateBadge kind="stage" value={restore.stage} />
                      )}
                      {restore.set_aside && (
                        <div>
                          <Badge tone="warn">{t('restore.set_aside')}</Badge>
                        </div>
                      )}
                    </Cell>
                    <Cell>{t(`step.${restore.step}`)}</Cell>
                    <Cell>
                      <Instant at={restore.point_time} />
                    </Cell>
                    <Cell>
                      {restore.undo_label ? (
                        <span className="label-mark">{restore.undo_label}</span>
                      ) : (
                        <span className="quiet">{t('common.none')}</span>
                      )}
                    </Cell>
                    <Cell>{restore.operator}</Cell>
                    <Cell>
                      <Id value={restore.id} />
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
