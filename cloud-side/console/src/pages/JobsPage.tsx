import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { groups as groupsQuery, jobs } from '../api/queries';
import type { Job } from '../api/types';
import { Empty } from '../parts/Empty';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { toDrill, toFailback, toFailover, toGroup, toJob, toRestore } from '../parts/paths';
import { Served } from '../parts/Served';
import { StateBadge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { usePages } from '../parts/usePages';
import { useWords } from '../words/words';

/** The jobs of all groups. */
export function JobsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.jobs')} />
      <JobList />
    </>
  );
}

/** Where what a job is about can be looked at; null where the job is all there is. */
export function subjectPath({ kind, subject }: Pick<Job, 'kind' | 'subject'>): string | null {
  switch (kind) {
    case 'drill':
      return toDrill(subject);
    case 'failover':
      return toFailover(subject);
    case 'failback':
      return toFailback(subject);
    case 'restore':
      return toRestore(subject);
    case 'create_point':
    case 'readiness':
      return null;
  }
}

/** Jobs know their group's id only; people know its name. */
export function GroupLink({ id }: { id: string }) {
  const { data } = useQuery(groupsQuery());
  const name = data?.find((group) => group.id === id)?.name;
  return <Link to={toGroup(name ?? id)}>{name ?? id}</Link>;
}

export function Subject({ job }: { job: Job }) {
  const path = subjectPath(job);
  return path ? <Link to={path}>{job.subject}</Link> : <span>{job.subject}</span>;
}

export function JobList({ group }: { group?: string }) {
  const { t, span } = useWords();
  const pages = usePages();
  const query = useQuery(jobs(group, pages.cursor));
  return (
    <Panel title={t('jobs.title')}>
      <Live query={query}>
        {({ items, next_cursor }) =>
          items.length === 0 ? (
            <Empty>{t('jobs.none')}</Empty>
          ) : (
            <>
              <Table
                caption={t('jobs.title')}
                columns={[
                  { name: t('jobs.created') },
                  { name: t('jobs.kind') },
                  ...(group ? [] : [{ name: t('common.group') }]),
                  { name: t('jobs.state') },
                  { name: t('jobs.subject') },
                  { name: t('jobs.took'), number: true },
                ]}
              >
                {items.map((job) => (
                  <Row key={job.id}>
                    <Cell>
                      <Link to={toJob(job.id)}>
                        <Instant at={job.created_at} />
                      </Link>
                    </Cell>
                    <Cell>{t(`kind.${job.kind}`)}</Cell>
                    {!group && (
                      <Cell>
                        <GroupLink id={job.group} />
                      </Cell>
                    )}
                    <Cell>
                      <StateBadge kind="job" value={job.state} />
                      {(job.error || job.phase) && (
                        <div className="quiet small observed">
                          <Served>{job.error?.detail ?? job.phase ?? ''}</Served>
                        </div>
                      )}
                    </Cell>
                    <Cell>
                      <Subject job={job} />
                    </Cell>
                    <NumberCell>
                      {job.finished_at ? (
                        span((Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000)
                      ) : (
                        <span className="quiet">{t('common.none')}</span>
                      )}
                    </NumberCell>
                  </Row>
                ))}
              </Table>
              <Pager pages={pages} next={next_cursor} />
            </>
          )
        }
      </Live>
    </Panel>
  );
}
