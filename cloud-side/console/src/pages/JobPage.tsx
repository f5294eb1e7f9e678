import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { job as jobQuery } from '../api/queries';
import { Fact, Facts } from '../parts/Facts';
import { Id } from '../parts/Id';
import { Instant } from '../parts/Instant';
import { JobOutcome } from '../parts/JobOutcome';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Panel } from '../parts/Panel';
import { StateBadge } from '../parts/StateBadge';
import { useWords } from '../words/words';
import { GroupLink, Subject } from './JobsPage';

/** A job: work that outlasts its request. */
export function JobPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(jobQuery(id));
  return (
    <Live query={query} polled={!query.data?.finished_at}>
      {(job) => (
        <>
          <PageHead
            title={t(`kind.${job.kind}`)}
            above={{ to: '/jobs', name: t('nav.jobs') }}
            badges={<StateBadge kind="job" value={job.state} />}
          />
          <Panel title={t('job.title')}>
            <JobOutcome query={query} />
            <Facts>
              <Fact name={t('common.group')}>
                <GroupLink id={job.group} />
              </Fact>
              <Fact name={t('jobs.subject')}>
                <Subject job={job} />
              </Fact>
              <Fact name={t('jobs.created')}>
                <Instant at={job.created_at} age />
              </Fact>
              <Fact name={t('job.started')}>
                <Instant at={job.started_at} />
              </Fact>
              <Fact name={t('job.finished')}>
                <Instant at={job.finished_at} />
              </Fact>
              <Fact name={t('job.id')}>
                <Id value={job.id} whole />
              </Fact>
            </Facts>
          </Panel>
        </>
      )}
    </Live>
  );
}
