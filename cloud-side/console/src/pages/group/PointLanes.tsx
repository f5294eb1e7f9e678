/**
 * The lanes of a timeline that show recovery points. They are drawn anew only for other points or another stretch of time:
 * with a hundred thousand points the slider has to move all the same.
 */
import { memo, type ReactNode } from 'react';
import {
  apart,
  covered,
  longestHole,
  picked,
  place,
  type Stretch,
  type Track,
  WIDTH,
} from '../../states/timeline';
import { useWords } from '../../words/words';

interface Props {
  track: Track;
  within: Stretch;
}

export const PointsLane = memo(function PointsLane({ track, within }: Props) {
  const { t } = useWords();
  return (
    <Lane name={t('line.points')} note={t('line.points.what', { count: track.points.length })}>
      <Marks track={track} within={within} look={(kind) => `lane-point kind-${kind}`} />
    </Lane>
  );
});

export const CoveredLane = memo(function CoveredLane({ track, within }: Props) {
  const { t, span } = useWords();
  const hole = longestHole(track, within);
  return (
    <Lane
      name={t('line.covered')}
      note={
        hole && hole.to - hole.from >= 1000
          ? t('line.hole', { span: span((hole.to - hole.from) / 1000) })
          : t('line.no_hole')
      }
    >
      {covered(track, within, (within.to - within.from) / WIDTH).map((part) => (
        <rect
          key={part.from}
          className="lane-covered"
          x={place(part.from, within)}
          width={Math.max(1, place(part.to, within) - place(part.from, within))}
          y={12}
          height={16}
        />
      ))}
    </Lane>
  );
});

export const BookmarksLane = memo(function BookmarksLane({ track, within }: Props) {
  const { t } = useWords();
  const bookmarks = picked(track, ({ kind }) => kind !== 'crash_consistent');
  return (
    <Lane name={t('line.bookmarks')} note={t('line.count', { count: bookmarks.points.length })}>
      <Marks track={bookmarks} within={within} look={() => 'lane-bookmark'} />
    </Lane>
  );
});

interface MarksProps extends Props {
  look: (kind: string) => string;
}

function Marks({ track: { points, time }, within, look }: MarksProps) {
  return apart(points, (_, index) => time[index] ?? 0, within).map((point) => {
    const x = place(Date.parse(point.time), within);
    return (
      <line key={point.id} className={look(point.kind)} x1={x} x2={x} y1={6} y2={34}>
        <title>{`${point.label ?? point.id} · ${point.time}`}</title>
      </line>
    );
  });
}

export function Lane({ name, note, children }: { name: string; note: string; children: ReactNode }) {
  return (
    <>
      <span className="lane-name">
        {name}
        <span className="quiet small">{note}</span>
      </span>
      <svg
        className="lane"
        viewBox={`0 0 ${WIDTH} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}: ${note}`}
      >
        {children}
      </svg>
    </>
  );
}
