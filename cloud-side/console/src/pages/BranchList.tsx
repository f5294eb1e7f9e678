/** Branches: what failovers and failbacks left, which can be read like a point of the group itself. */
import { Group as Line } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, body } from '../api/client';
import { branches } from '../api/queries';
import type { Branch } from '../api/types';
import { Empty } from '../parts/Empty';
import { GuardedButton } from '../parts/GuardedButton';
import { Id } from '../parts/Id';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { toGroup, toMaker } from '../parts/paths';
import { Served } from '../parts/Served';
import { StateBadge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { usePages } from '../parts/usePages';
import { useWords } from '../words/words';
import { VerbDialogue } from './dialogues/VerbDialogue';
import { ViewDialogue } from './dialogues/ViewDialogue';

export function BranchList({ group }: { group?: string }) {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(branches(group, pages.cursor));
  const [opening, setOpening] = useState<Branch | null>(null);
  const [removing, setRemoving] = useState<Branch | null>(null);
  return (
    <Panel title={t('branches.title')}>
      <p className="quiet">{t('branches.what')}</p>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('branches.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('branches.title')}
                columns={[
                  { name: t('branches.created') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('branches.reason') },
                  { name: t('branches.state') },
                  { name: t('branches.base') },
                  { name: t('branches.latest') },
                  { name: t('place.generation'), number: true },
                  { name: t('points.do') },
                ]}
              >
                {items.map((branch) => (
                  <BranchRow
                    key={branch.id}
                    branch={branch}
                    named={!group}
                    onOpen={() => setOpening(branch)}
                    onRemove={() => setRemoving(branch)}
                  />
                ))}
              </Table>
              <Pager pages={pages} next={next_cursor} />
            </>
          )
        }
      </Live>
      {opening && (
        <ViewDialogue
          group={opening.group_name}
          branch={opening}
          at="latest"
          onClose={() => setOpening(null)}
        />
      )}
      {removing && (
        <VerbDialogue
          title={t('branches.remove.title', { group: removing.group_name })}
          verb={t('branches.remove')}
          lines={[
            t('branches.remove.gone'),
            t(`branches.remove.${removing.reason}`),
            t('branches.remove.needed'),
          ]}
          confirm={removing.group_name}
          why={t('confirm.why.remove')}
          frame="none"
          send={(confirm) =>
            body(
              api.POST('/api/v1/branches/{id}/actions/remove', {
                params: { path: { id: removing.id } },
                body: { confirm },
              }),
            )
          }
          onClose={() => setRemoving(null)}
        />
      )}
    </Panel>
  );
}

interface RowProps {
  branch: Branch;
  named: boolean;
  onOpen: () => void;
  onRemove: () => void;
}

function BranchRow({ branch, named, onOpen, onRemove }: RowProps) {
  const { t } = useWords();
  const maker = branch.made_for ? toMaker(branch.made_for) : null;
  return (
    <Row>
      <Cell>
        <Instant at={branch.created_at} />
        <div>
          <Id value={branch.id} />
        </div>
      </Cell>
      {named && (
        <Cell>
          <Link to={toGroup(branch.group_name)}>{branch.group_name}</Link>
        </Cell>
      )}
      <Cell>
        {t(`branchReason.${branch.reason}`)}
        {branch.made_for && (
          <div className="small">
            {maker ? <Link to={maker}>{t('common.open')} →</Link> : <Id value={branch.made_for} />}
          </div>
        )}
      </Cell>
      <Cell>
        <StateBadge kind="branch" value={branch.state} />
        {branch.cause && (
          <div className="quiet small observed">
            <Served>{branch.cause}</Served>
          </div>
        )}
      </Cell>
      <Cell>
        <Id value={branch.base_point} />
        {branch.base_branch && (
          <div className="quiet small">
            {t('branches.above')} <Id value={branch.base_branch} />
          </div>
        )}
      </Cell>
      <Cell>
        {branch.latest_point ? (
          <Instant at={branch.latest_point.time} age />
        ) : (
          <span className="quiet">{t('common.none')}</span>
        )}
      </Cell>
      <NumberCell>{branch.generation}</NumberCell>
      <Cell>
        <Line gap={6} wrap="nowrap">
          <GuardedButton
            operation="open_view"
            label={t('view.do')}
            size="compact-xs"
            refused={branch.latest_point ? null : { why: t('branches.empty') }}
            onClick={onOpen}
          />
          <GuardedButton
            operation="remove_branch"
            label={t('branches.remove')}
            look="remove"
            size="compact-xs"
            onClick={onRemove}
          />
        </Line>
      </Cell>
    </Row>
  );
}
