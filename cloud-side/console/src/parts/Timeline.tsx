/** The points of a page of the list on a line of time: where they are dense, and where they are missing. */
import type { Point } from '../api/types';
import { utc } from '../format/instants';
import { useWords } from '../words/words';
import { useTimes } from './times';

export function Timeline({ points }: { points: Point[] }) {
  const { t } = useWords();
  const { shown } = useTimes();
  const times = points.map((point) => Date.parse(point.time));
  const [from, to] = [Math.min(...times), Math.max(...times)];
  if (points.length < 3 || from === to) return null;
  const place = (time: number) => 1 + (98 * (time - from)) / (to - from);
  return (
    <figure className="timeline">
      <svg
        viewBox="0 0 100 10"
        preserveAspectRatio="none"
        role="img"
        aria-label={t('points.line', { count: points.length })}
      >
        <line x1="0" x2="100" y1="7" y2="7" className="timeline-base" />
        {points.map((point, index) => (
          <line
            key={point.id}
            x1={place(times[index] ?? from)}
            x2={place(times[index] ?? from)}
            y1={point.kind === 'crash_consistent' ? 4.5 : 1}
            y2="7"
            className={`timeline-mark kind-${point.kind}`}
          >
            <title>{`${point.label ?? point.id} · ${utc(times[index] ?? from)}`}</title>
          </line>
        ))}
      </svg>
      <figcaption className="quiet small number">
        <span>{shown(from)}</span>
        <span>{shown(to)}</span>
      </figcaption>
    </figure>
  );
}
