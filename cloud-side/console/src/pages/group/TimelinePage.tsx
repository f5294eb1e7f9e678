/**
 * A group over time: what its points cover, its bookmarks, drills and moves, and an instant to be chosen to the
 * second. The age of the newest point is shown as this page saw it; the API keeps the worst of each
 * hour only, which the overview shows.
 */
import { Button, SegmentedControl } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { Link } from 'react-router';
import { allPoints, drills, failbacks, failovers, points as pointsQuery, restores } from '../../api/queries';
import type { Drill, Point } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { Panel } from '../../parts/Panel';
import { toDrill, toFailback, toFailover, toRestore } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { TimeField } from '../../parts/TimeField';
import { useTimes } from '../../parts/times';
import { remembered, series } from '../../states/samples';
import {
  apart,
  drawnNow,
  linePath,
  meet,
  merged,
  place,
  pointAt,
  type Stretch,
  shownStretch,
  type Track,
  trackOf,
} from '../../states/timeline';
import { useWords } from '../../words/words';
import { useGroup } from './GroupFrame';
import { BookmarksLane, CoveredLane, Lane, PointsLane } from './PointLanes';

const MINUTE = 60_000;
const LENGTHS: Record<string, number | null> = {
  '10m': 10 * MINUTE,
  '1h': 60 * MINUTE,
  '6h': 360 * MINUTE,
  '1d': 1440 * MINUTE,
  '7d': 10_080 * MINUTE,
  all: null,
};

export function TimelinePage() {
  const { t } = useWords();
  const { group } = useGroup();
  const read = useInfiniteQuery(allPoints(group.name));
  const newest = useQuery(pointsQuery(group.name, undefined, undefined));
  // There may be very many: they are gone through when there are others, not whenever the clock ticks.
  const older = useMemo(() => trackOf(read.data?.pages.flatMap((page) => page.items) ?? []), [read.data]);
  const fresh = useMemo(() => trackOf(newest.data?.items ?? []), [newest.data]);
  const apartFrom = useMemo(
    () => read.data !== undefined && !meet(fresh.points, older.points),
    [read.data, fresh, older],
  );
  const track = useMemo(() => (apartFrom ? older : merged(fresh, older)), [apartFrom, fresh, older]);
  // Nobody looked for so long that points between the two readings are missing.
  const { refetch } = read;
  useEffect(() => {
    if (apartFrom) void refetch();
  }, [apartFrom, refetch]);
  return (
    <Live query={newest}>
      {() =>
        read.data === undefined ? null : track.points.length === 0 ? (
          <Empty>{t('points.none')}</Empty>
        ) : (
          <Lines
            track={track}
            more={
              read.hasNextPage && (
                <Button
                  size="compact-sm"
                  variant="default"
                  loading={read.isFetchingNextPage}
                  onClick={() => void read.fetchNextPage()}
                >
                  {t('line.older')}
                </Button>
              )
            }
          />
        )
      }
    </Live>
  );
}

interface LinesProps {
  /** Newest first, without a hole. */
  track: Track;
  more: ReactNode;
}

function Lines({ track, more }: LinesProps) {
  const { t, span, wholeSpan } = useWords();
  const { clockDay, clockTime, fromField, toField } = useTimes();
  const { group } = useGroup();
  const now = useNow();
  const [length, setLength] = useState('1h');
  /** Null: the present, which goes on. */
  const [chosen, setChosen] = useState<number | null>(null);
  const [end, setEnd] = useState<number | null>(null);
  const { time } = track;
  const oldest = time.at(-1) ?? Number.NaN;
  const newest = time[0] ?? Number.NaN;
  const lasts = LENGTHS[length] ?? null;
  const { from, to } = shownStretch(lasts, end ?? drawnNow(now, lasts ?? now - oldest), oldest);
  const within = useMemo(() => ({ from, to }), [from, to]);
  const instant = chosen === null && end === null ? now : Math.min(Math.max(chosen ?? to, from), to);
  const point = pointAt(track, instant);
  const { at, rpo } = series(remembered(group.id));
  const line = linePath(at, rpo, within, 40);
  const half = (within.to - within.from) / 2;
  const write = within.to - within.from > 2 * 1440 * MINUTE ? clockDay : clockTime;

  return (
    <>
      <Panel
        title={t('line.title')}
        side={
          <div className="button-row">
            <Button
              size="compact-sm"
              variant="default"
              aria-label={t('line.earlier')}
              disabled={within.from <= oldest}
              onClick={() => setEnd(Math.max(within.to - half, oldest + half))}
            >
              ←
            </Button>
            <SegmentedControl
              size="xs"
              value={length}
              onChange={setLength}
              aria-label={t('line.length')}
              data={Object.keys(LENGTHS).map((value) => ({
                value,
                label: LENGTHS[value] ? wholeSpan((LENGTHS[value] ?? 0) / 1000) : t('line.all'),
              }))}
            />
            <Button
              size="compact-sm"
              variant="default"
              aria-label={t('line.later')}
              disabled={end === null}
              onClick={() => setEnd(within.to + half >= now ? null : within.to + half)}
            >
              →
            </Button>
            {more}
          </div>
        }
      >
        <div className="lanes">
          <PointsLane track={track} within={within} />
          <CoveredLane track={track} within={within} />
          <Lane
            name={t('line.rpo')}
            note={line.path === '' ? t('line.rpo.none') : t('line.rpo.most', { span: span(line.highest) })}
          >
            <path className="lane-line" d={line.path} />
          </Lane>
          <BookmarksLane track={track} within={within} />
          <HappenedLanes within={within} now={now} />
          <span className="lane-name">
            <label htmlFor="instant">{t('line.instant')}</label>
          </span>
          <div className="lane-slider">
            <input
              id="instant"
              type="range"
              min={Math.ceil(within.from / 1000)}
              max={Math.floor(within.to / 1000)}
              step={1}
              value={Math.min(Math.floor(instant / 1000), Math.floor(within.to / 1000))}
              aria-valuetext={new Date(instant).toISOString()}
              onChange={(event) => {
                const seconds = Number(event.currentTarget.value);
                // At its right end it follows the present again.
                setChosen(end === null && seconds >= Math.floor(within.to / 1000) ? null : seconds * 1000);
              }}
            />
            <div className="lane-axis quiet small number" aria-hidden="true">
              {[0, 0.25, 0.5, 0.75, 1].map((part) => (
                <span key={part}>{write((within.from + part * (within.to - within.from)) / 1000)}</span>
              ))}
            </div>
          </div>
        </div>
      </Panel>
      <Panel
        title={t('line.chosen')}
        side={chosen === null && end === null ? <Badge tone="busy">{t('line.follows')}</Badge> : null}
      >
        <div className="chosen-line">
          <TimeField
            label={t('line.field')}
            value={toField(instant)}
            onChange={(event) => {
              const at = fromField(event.currentTarget.value);
              if (!at) return;
              const time = Math.min(Math.max(Date.parse(at), oldest), now);
              setChosen(time);
              if (time < within.from || time > within.to) setEnd(time + half >= now ? null : time + half);
            }}
          />
          <Button
            variant="default"
            disabled={!point || Date.parse(point.time) <= oldest}
            onClick={() => {
              const before = point && pointAt(track, Date.parse(point.time) - 1);
              if (before) setChosen(Date.parse(before.time));
            }}
          >
            {t('line.before')}
          </Button>
          <Button
            variant="default"
            disabled={chosen === null && end === null}
            onClick={() => {
              setChosen(null);
              setEnd(null);
            }}
          >
            {t('line.present')}
          </Button>
        </div>
        {point ? <Chosen point={point} instant={instant} newest={newest} /> : <Empty>{t('line.none')}</Empty>}
      </Panel>
      <HappenedPanel within={within} now={now} />
    </>
  );
}

/** The point that an instant means, and what can be done with it. */
function Chosen({ point, instant, newest }: { point: Point; instant: number; newest: number }) {
  const { t, span } = useWords();
  const { group, ask } = useGroup();
  const action = (verb: string) => actionOf(group.allowed_actions, verb);
  const until = Date.parse(point.covers_until);
  const exact = instant <= until;
  const short = Date.parse(point.time) === newest ? 'line.short.newest' : 'line.short';
  return (
    <>
      <p>
        <strong>
          <Instant at={point.time} age />
        </strong>{' '}
        {point.label && <span className="label-mark">{point.label}</span>} <Id value={point.id} />{' '}
        <span className="quiet">{t(`pointKind.${point.kind}`)}</span>
      </p>
      <p className={exact ? 'quiet' : undefined}>
        {exact ? t('line.exact') : t(short, { span: span((instant - until) / 1000) })}
      </p>
      <div className="button-row">
        <ActionButton
          action={action('start_drill')}
          operation="start_drill"
          label={t('drill.do')}
          look="main"
          onClick={() => ask('drill', point.id)}
        />
        <ActionButton
          action={action('open_view')}
          operation="open_view"
          label={t('view.do')}
          onClick={() => ask('view', point.id)}
        />
        <ActionButton
          action={action('restore_start')}
          operation="start_restore"
          label={t('restore.do')}
          look="live"
          onClick={() => ask('restore', point.id)}
        />
        <ActionButton
          action={action('failover_start')}
          operation="start_failover"
          label={t('failover.do')}
          look="live"
          onClick={() => ask('failover', point.id)}
        />
      </div>
    </>
  );
}

/** The newest drills and moves of the group; null while some of them are not known yet. */
function useHappened() {
  const { group } = useGroup();
  const drilled = useQuery(drills(group.name, undefined));
  const over = useQuery(failovers(group.name, undefined));
  const back = useQuery(failbacks(group.name, undefined));
  const home = useQuery(restores(group.name, undefined));
  if (!drilled.data || !over.data || !back.data || !home.data) return null;
  return {
    drills: drilled.data.items,
    moves: [
      ...over.data.items.map((one) => ({ ...one, kind: 'failover' as const, to: toFailover(one.id) })),
      ...back.data.items.map((one) => ({ ...one, kind: 'failback' as const, to: toFailback(one.id) })),
      ...home.data.items.map((one) => ({ ...one, kind: 'restore' as const, to: toRestore(one.id) })),
    ],
  };
}

/** When a drill's point was, which is what it says something about. */
function drilledAt(drill: Drill): number {
  return Date.parse(drill.report?.point.time ?? drill.requested_at);
}

function overlaps(move: { requested_at: string; finished_at?: string | null }, within: Stretch, now: number) {
  const from = Date.parse(move.requested_at);
  const to = move.finished_at ? Date.parse(move.finished_at) : now;
  return from <= within.to && to >= within.from ? { from, to } : null;
}

/** Drills at the points that they booted; moves as long as they took. */
function HappenedLanes({ within, now }: { within: Stretch; now: number }) {
  const { t } = useWords();
  const told = useHappened();
  return (
    <>
      <Lane
        name={t('line.drills')}
        note={told ? t('line.newest', { count: told.drills.length }) : t('common.unknown')}
      >
        {apart(told?.drills ?? [], drilledAt, within).map((drill) => (
          // A dot is the round end of a line: a circle would be drawn as wide as the time is stretched.
          <path
            key={drill.id}
            className={`lane-drill is-${drill.state}`}
            d={`M${place(drilledAt(drill), within)} 20h0.01`}
          />
        ))}
      </Lane>
      <Lane
        name={t('line.moves')}
        note={told ? t('line.newest', { count: told.moves.length }) : t('common.unknown')}
      >
        {told?.moves.map((move) => {
          const shown = overlaps(move, within, now);
          if (!shown) return null;
          const from = place(Math.max(shown.from, within.from), within);
          return (
            <rect
              key={move.id}
              className={`lane-move is-${move.kind}`}
              x={from}
              width={Math.max(3, place(Math.min(shown.to, within.to), within) - from)}
              y={12}
              height={16}
            />
          );
        })}
      </Lane>
    </>
  );
}

/** The same in words, with the way to each. */
function HappenedPanel({ within, now }: { within: Stretch; now: number }) {
  const { t } = useWords();
  const told = useHappened();
  if (!told) return null;
  const rows = [
    ...told.drills
      .filter((drill) => drilledAt(drill) >= within.from && drilledAt(drill) <= within.to)
      .map((drill) => ({
        id: drill.id,
        at: drill.requested_at,
        kind: 'drill' as const,
        to: toDrill(drill.id),
        state: <StateBadge kind="drill" value={drill.state} />,
      })),
    ...told.moves
      .filter((move) => overlaps(move, within, now))
      .map((move) => ({
        id: move.id,
        at: move.requested_at,
        kind: move.kind,
        to: move.to,
        state: !move.end ? (
          <StateBadge kind="stage" value={move.stage} />
        ) : move.kind === 'failover' ? (
          <StateBadge kind="failoverEnd" value={move.end} />
        ) : move.kind === 'failback' ? (
          <StateBadge kind="failbackEnd" value={move.end} />
        ) : (
          <StateBadge kind="restoreEnd" value={move.end} />
        ),
      })),
  ].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  if (rows.length === 0) return null;
  return (
    <Panel title={t('line.happened')}>
      <Table
        caption={t('line.happened')}
        columns={[{ name: t('moves.requested') }, { name: t('jobs.kind') }, { name: t('moves.state') }]}
      >
        {rows.map((row) => (
          <Row key={row.id}>
            <Cell>
              <Link to={row.to}>
                <Instant at={row.at} age />
              </Link>
            </Cell>
            <Cell>{t(`kind.${row.kind}`)}</Cell>
            <Cell>{row.state}</Cell>
          </Row>
        ))}
      </Table>
    </Panel>
  );
}
