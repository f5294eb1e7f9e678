/** What a step of a plan does, in words. */
import { Link } from 'react-router';
import { toGroup } from '../../parts/paths';
import { aboutOf, kindOf, type PlanStep } from '../../states/plan';
import { type Translate, useWords } from '../../words/words';

/** In one line, for the graph. */
export function stepLine(
  step: Pick<PlanStep, 'do'>,
  t: Translate,
  span: (seconds: number) => string,
): string {
  const about = aboutOf(step);
  switch (kindOf(step)) {
    case 'group':
      return t('plan.line.group', { group: about });
    case 'wait':
      return t('plan.line.wait', { span: span(Number(about)) });
    case 'approval':
      return t('plan.line.approval');
    default:
      return kindOf(step);
  }
}

export function StepWords({ step }: { step: PlanStep }) {
  const { t, wholeSpan, known } = useWords();
  const kind = kindOf(step);
  const about = aboutOf(step);
  const who = step.do.approval?.who;
  return (
    <>
      <div>{known('planKind', kind) ?? kind}</div>
      <div className="small observed">
        {kind === 'group' ? (
          <Link to={toGroup(about)}>{about}</Link>
        ) : kind === 'wait' ? (
          wholeSpan(Number(about))
        ) : (
          about
        )}
        {Array.isArray(who) && (
          <div className="quiet">
            {who.length === 0 ? t('plan.who.all') : t('plan.who', { names: who.join(', ') })}
          </div>
        )}
      </div>
    </>
  );
}
