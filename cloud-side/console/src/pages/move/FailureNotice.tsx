import { Alert } from '@mantine/core';
import type { Failure } from '../../api/types';
import { Served } from '../../parts/Served';
import { useWords } from '../../words/words';

/** Why a step failed, and what to do before it is tried again. */
export function FailureNotice({ failure, blocked }: { failure: Failure; blocked: boolean }) {
  const { t } = useWords();
  return (
    <Alert
      color={blocked ? 'red' : 'yellow'}
      title={t(blocked ? 'failure.blocked' : 'failure.last', { step: t(`step.${failure.step}`) })}
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
