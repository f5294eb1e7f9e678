/** A failure in full: what happened, why, and what to do about it; the code and the id for whoever looks it up. */
import { Alert } from '@mantine/core';
import { ApiProblem } from '../api/problem';
import { useWords } from '../words/words';
import { Served } from './Served';

interface Props {
  error: unknown;
  compact?: boolean;
  /** Whether the same request can be sent again without being carried out twice. */
  keyed?: boolean;
}

export function ProblemNotice({ error, compact = false, keyed }: Props) {
  const { t, known } = useWords();
  if (!(error instanceof ApiProblem) || !error.problem) {
    const unheard = error instanceof ApiProblem && error.kind !== 'refused';
    const title = unheard ? t('problem.unheard') : t('problem.inside');
    const text = error instanceof Error ? error.message : String(error);
    if (compact) return <p className="problem-line">{title}</p>;
    return (
      <Alert color="red" role="alert" title={title}>
        <p className="quiet">{text}</p>
        <p>{unheard ? t('problem.unheard.remedy') : t('problem.inside.remedy')}</p>
        {unheard && keyed !== undefined && (
          <p>{t(keyed ? 'problem.unheard.keyed' : 'problem.unheard.unkeyed')}</p>
        )}
      </Alert>
    );
  }
  const { problem } = error;
  const title = known('problem.code', problem.code) ?? problem.title;
  if (compact) {
    return (
      <p className="problem-line">
        {title}: <Served>{problem.detail}</Served>
      </p>
    );
  }
  return (
    <Alert color="red" role="alert" title={title}>
      <p>
        <Served>{problem.detail}</Served>
      </p>
      {problem.cause && (
        <p>
          {t('problem.cause')} <Served>{problem.cause}</Served>
        </p>
      )}
      {problem.remedy && (
        <p>
          <strong>{t('problem.remedy')}</strong> <Served>{problem.remedy}</Served>
        </p>
      )}
      {problem.retry_after_seconds != null && (
        <p>{t('problem.retry', { seconds: problem.retry_after_seconds })}</p>
      )}
      <p className="quiet mono small">
        {problem.code}
        {problem.request_id ? ` · ${problem.request_id}` : ''}
      </p>
    </Alert>
  );
}
