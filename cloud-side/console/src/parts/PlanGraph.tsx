/** The steps of a plan as a graph, left to right in the order in which they can begin. The table beside it says all of it in words. */
import { layout } from '../states/plan';
import type { Tone } from '../states/tones';
import { useWords } from '../words/words';
import { useStale } from './staleness';

export interface GraphStep {
  id: string;
  after: string[];
  /** Under the id. */
  about: string;
  tone: Tone;
  /** A step whose failure does not hold the run up. */
  optional?: boolean;
}

const WIDTH = 168;
const HEIGHT = 46;
const GAP_X = 44;
const GAP_Y = 14;

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export function PlanGraph({ steps }: { steps: GraphStep[] }) {
  const { t } = useWords();
  const stale = useStale();
  const placed = layout(steps);
  if (!placed || placed.length === 0) return null;
  const at = new Map(
    placed.map(({ id, depth, row }) => [
      id,
      { x: depth * (WIDTH + GAP_X) + 2, y: row * (HEIGHT + GAP_Y) + 2 },
    ]),
  );
  const width = Math.max(...[...at.values()].map(({ x }) => x)) + WIDTH + 4;
  const height = Math.max(...[...at.values()].map(({ y }) => y)) + HEIGHT + 4;
  return (
    // What scrolls has to be reached by the keyboard.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: as said above
    <div className="graph-wrap" role="group" aria-label={t('plan.graph')} tabIndex={0}>
      <svg
        className="graph"
        width={width}
        height={height}
        role="img"
        aria-label={t('plan.graph.what', { count: steps.length })}
      >
        {steps.flatMap((step) =>
          step.after.map((name) => {
            const [from, to] = [at.get(name), at.get(step.id)];
            if (!from || !to) return null;
            const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
            const bend = x1 + Math.max(GAP_X / 2, x2 - x1 - GAP_X / 2);
            return (
              <path
                key={`${name} ${step.id}`}
                className="graph-edge"
                d={`M${x1} ${y1}H${bend - GAP_X / 4}L${bend + GAP_X / 8} ${y2}H${x2}`}
              />
            );
          }),
        )}
        {steps.map((step) => {
          const { x, y } = at.get(step.id) ?? { x: 0, y: 0 };
          return (
            <g key={step.id} className="graph-step" data-tone={stale ? 'unknown' : step.tone}>
              <title>{`${step.id}: ${step.about}`}</title>
              <rect
                x={x}
                y={y}
                width={WIDTH}
                height={HEIGHT}
                rx={6}
                strokeDasharray={step.optional ? '4 3' : undefined}
              />
              <text x={x + 10} y={y + 19} className="graph-id">
                {cut(step.id, 20)}
              </text>
              <text x={x + 10} y={y + 36} className="graph-about">
                {cut(step.about, 24)}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
