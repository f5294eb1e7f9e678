/** What became of a job that a dialogue started: success is said only when the job said so. */
import { Alert } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { Job } from '../api/types';
import { useWords } from '../words/words';
import { Instant } from './Instant';
import { Live } from './Live';
import { Served } from './Served';
import { StateBadge } from './StateBadge';

export function JobOutcome({ query }: { query: UseQueryResult<Job> }) {
  const { t } = useWords();
  return (
    <div aria-live="polite">
      <Live query={query} polled={!query.data?.finished_at}>
        {(job) => (
          <>
            <p>
              <StateBadge kind="job" value={job.state} /> {job.phase && <Served>{job.phase}</Served>}
            </p>
            {job.result?.point && (
              <p>
                {t('job.point')} <span className="mono">{job.result.point.id}</span>{' '}
                <Instant at={job.result.point.time} />
              </p>
            )}
            {job.error && (
              <Alert color="red" title={job.error.code}>
                <Served>{job.error.detail}</Served>
                {job.error.remedy && (
                  <p>
                    {t('problem.remedy')} <Served>{job.error.remedy}</Served>
                  </p>
                )}
              </Alert>
            )}
          </>
        )}
      </Live>
    </div>
  );
}
