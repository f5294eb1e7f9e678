/** Recovery points: what can be had back, newest first. */
import { Button, Group as Line, Menu, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { nearest, points } from '../../api/queries';
import type { Point, PointKind } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { ActionItem } from '../../parts/ActionItem';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { ProblemNotice } from '../../parts/ProblemNotice';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { TimeField } from '../../parts/TimeField';
import { Timeline } from '../../parts/Timeline';
import { useTimes } from '../../parts/times';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';
import { ReadinessDialogue } from '../dialogues/ReadinessDialogue';
import { useGroup } from './GroupFrame';

type Wanted = 'all' | PointKind;

export function PointsPage() {
  const { t } = useWords();
  const { group } = useGroup();
  const [kind, setKind] = useState<Wanted>('all');
  const [inspected, setInspected] = useState<Point | null>(null);
  const pages = usePages();
  const query = useQuery(points(group.name, kind === 'all' ? undefined : kind, pages.cursor));
  return (
    <>
      <FindPoint group={group.name} onInspect={setInspected} />
      <Panel
        title={t('points.title')}
        side={
          <SegmentedControl
            size="xs"
            value={kind}
            onChange={(next) => {
              setKind(next as Wanted);
              pages.first();
            }}
            aria-label={t('points.kind')}
            data={[
              { value: 'all', label: t('points.all') },
              { value: 'bookmark', label: t('pointKind.bookmark') },
              { value: 'application_consistent', label: t('pointKind.application_consistent') },
              { value: 'crash_consistent', label: t('pointKind.crash_consistent') },
            ]}
          />
        }
      >
        <Live query={query}>
          {({ items, next_cursor }) =>
            items.length === 0 ? (
              <Empty>{t('points.none')}</Empty>
            ) : (
              <>
                <Timeline points={items} />
                <PointTable items={items} onInspect={setInspected} />
                <Pager pages={pages} next={next_cursor} />
              </>
            )
          }
        </Live>
      </Panel>
      {inspected && <ReadinessDialogue group={group} point={inspected} onClose={() => setInspected(null)} />}
    </>
  );
}

interface ListProps {
  items: Point[];
  onInspect: (point: Point) => void;
}

function PointTable({ items, onInspect }: ListProps) {
  const { t } = useWords();
  const { group, ask } = useGroup();
  return (
    <Table
      caption={t('points.title')}
      columns={[
        { name: t('points.time') },
        { name: t('points.covers') },
        { name: t('points.kind') },
        { name: t('points.label') },
        { name: t('points.id') },
        { name: t('points.do') },
      ]}
    >
      {items.map((point) => (
        <Row key={point.id}>
          <Cell>
            <Instant at={point.time} age />
            {group.readiness.point === point.id && (
              <Badge
                tone={
                  group.readiness.state === 'ready'
                    ? 'good'
                    : group.readiness.state === 'unknown'
                      ? 'unknown'
                      : 'bad'
                }
              >
                {t('points.inspected')}
              </Badge>
            )}
          </Cell>
          <Cell>
            <Instant at={point.covers_until} />
          </Cell>
          <Cell>
            {t(`pointKind.${point.kind}`)}
            {point.unknown_ranges.length > 0 && (
              <div title={t('points.unknown.what')}>
                <Badge tone="warn">{t('points.unknown', { count: point.unknown_ranges.length })}</Badge>
              </div>
            )}
          </Cell>
          <Cell>{point.label && <span className="label-mark">{point.label}</span>}</Cell>
          <Cell>
            <Id value={point.id} />
          </Cell>
          <Cell>
            <Line gap={6} wrap="nowrap">
              <ActionButton
                action={actionOf(group.allowed_actions, 'start_drill')}
                operation="start_drill"
                label={t('points.drill')}
                size="compact-xs"
                onClick={() => ask('drill', point.id)}
              />
              <Menu position="bottom-end">
                <Menu.Target>
                  <Button size="compact-xs" variant="default" aria-label={t('points.more')}>
                    ⋯
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Item onClick={() => onInspect(point)}>{t('points.readiness')}</Menu.Item>
                  <ActionItem
                    action={actionOf(group.allowed_actions, 'open_view')}
                    operation="open_view"
                    label={t('view.do')}
                    onClick={() => ask('view', point.id)}
                  />
                  <ActionItem
                    action={actionOf(group.allowed_actions, 'restore_start')}
                    operation="start_restore"
                    label={t('points.restore')}
                    look="live"
                    onClick={() => ask('restore', point.id)}
                  />
                  <ActionItem
                    action={actionOf(group.allowed_actions, 'failover_start')}
                    operation="start_failover"
                    label={t('points.failover')}
                    look="live"
                    onClick={() => ask('failover', point.id)}
                  />
                </Menu.Dropdown>
              </Menu>
            </Line>
          </Cell>
        </Row>
      ))}
    </Table>
  );
}

function FindPoint({ group, onInspect }: { group: string; onInspect: (point: Point) => void }) {
  const { t } = useWords();
  const { fromField } = useTimes();
  const [text, setText] = useState('');
  const at = fromField(text);
  const found = useQuery({ ...nearest(group, at ?? ''), enabled: at !== null });
  return (
    <Panel title={t('points.find')}>
      <TimeField
        maw={320}
        label={t('points.find.field')}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {at && found.error && <ProblemNotice error={found.error} compact />}
      {at && found.data && <PointTable items={[found.data]} onInspect={onInspect} />}
    </Panel>
  );
}
