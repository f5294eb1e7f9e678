import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, body } from '../api/client';
import { views } from '../api/queries';
import type { View } from '../api/types';
import { Bytes } from '../parts/Bytes';
import { Dialogue } from '../parts/Dialogue';
import { Empty } from '../parts/Empty';
import { GuardedButton } from '../parts/GuardedButton';
import { Id } from '../parts/Id';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { toDrill, toGroup } from '../parts/paths';
import { Served } from '../parts/Served';
import { StateBadge } from '../parts/StateBadge';
import { Cell, Row, Table } from '../parts/Table';
import { usePages } from '../parts/usePages';
import { useWish } from '../parts/useWish';
import { useWords } from '../words/words';
import { BranchList } from './BranchList';

/** The open views of all groups. */
export function ViewsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.views')} />
      <ViewList />
      <BranchList />
    </>
  );
}

export function ViewList({ group }: { group?: string }) {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(views(group, pages.cursor));
  const [closing, setClosing] = useState<View | null>(null);
  return (
    <Panel title={t('views.title')}>
      <p className="quiet">{t('views.what')}</p>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('views.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('views.title')}
                columns={[
                  { name: t('views.opened') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('views.state') },
                  { name: t('views.point') },
                  { name: t('views.lease') },
                  { name: t('views.volumes') },
                  { name: t('points.do'), hidden: true },
                ]}
              >
                {items.map((view) => (
                  <Row key={view.id}>
                    <Cell>
                      <Instant at={view.opened_at} />
                      <div>
                        <Id value={view.id} />
                      </div>
                    </Cell>
                    {!group && (
                      <Cell>
                        <Link to={toGroup(view.group_name)}>{view.group_name}</Link>
                      </Cell>
                    )}
                    <Cell>
                      <StateBadge kind="view" value={view.state} />
                      {view.reason && (
                        <div className="quiet small observed">
                          <Served>{view.reason}</Served>
                        </div>
                      )}
                    </Cell>
                    <Cell>
                      <Instant at={view.point.time} />
                      {view.point.label && <span className="label-mark">{view.point.label}</span>}
                    </Cell>
                    <Cell>
                      {view.drill ? (
                        <Link to={toDrill(view.drill)}>{t('views.of_drill')}</Link>
                      ) : (
                        <Instant at={view.lease_expires} age />
                      )}
                    </Cell>
                    <Cell>
                      {view.volumes.map((volume) => (
                        <div key={volume.id} className="view-volume">
                          {volume.name} · <Bytes value={volume.size_bytes} />
                          <div className="mono small">
                            <Id value={volume.nbd} whole />
                          </div>
                        </div>
                      ))}
                    </Cell>
                    <Cell>
                      {!view.drill && (
                        <GuardedButton
                          operation="close_view"
                          label={t('views.close')}
                          size="compact-sm"
                          onClick={() => setClosing(view)}
                        />
                      )}
                    </Cell>
                  </Row>
                ))}
              </Table>
              <Pager pages={pages} next={next_cursor} />
            </>
          )
        }
      </Live>
      {closing && <CloseDialogue view={closing} onClose={() => setClosing(null)} />}
    </Panel>
  );
}

function CloseDialogue({ view, onClose }: { view: View; onClose: () => void }) {
  const { t } = useWords();
  const wish = useWish(
    () => body(api.DELETE('/api/v1/views/{id}', { params: { path: { id: view.id } } })),
    onClose,
  );
  return (
    <Dialogue
      title={t('views.close.title')}
      verb={t('views.close')}
      ready
      busy={wish.busy}
      error={wish.error}
      size="md"
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('views.close.what')}</p>
    </Dialogue>
  );
}
