import { Alert } from '@mantine/core';
import type { Failure } from '../../api/types';
import { Served } from '../../parts/Served';
import { useWords } from '../../words/words';

/** Why a step failed, and what to do before it is tried again. */
export function FailureNotice({ failure, how }: { failure: Failure; how: 'blocked' | 'last' | 'ended' }) {
  const { t } = useWords();
  return (
    <Alert
      color={how === 'last' ? 'yellow' : 'red'}
      title={t(`failure.${how}`, { step: t(`step.${failure.step}`) })}
    >
      <p>
        <Served>{failure.cause}</Served>
      </p>
      <p>
        <strong>{t('problem.remedy')}</strong> <Served>{failure.remedy}</Served>
      </p>
      <p className="quiet mono small">{failure.code}</p>
    </Alert>
  );
}
