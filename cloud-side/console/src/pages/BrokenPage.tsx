/** A page of the console itself failed: say so, and let everything else go on. */
import { Button } from '@mantine/core';
import { useRouteError } from 'react-router';
import { ProblemNotice } from '../parts/ProblemNotice';
import { useWords } from '../words/words';

export function BrokenPage() {
  const { t } = useWords();
  return (
    <div className="page">
      <ProblemNotice error={useRouteError()} />
      <p>
        <Button variant="default" onClick={() => location.assign('/groups')}>
          {t('broken.back')}
        </Button>
      </p>
    </div>
  );
}
