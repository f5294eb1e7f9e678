import { BranchList } from '../BranchList';
import { JobList } from '../JobsPage';
import { ReportList } from '../report/ReportList';
import { RestoreList } from '../restore/RestoreList';
import { ViewList } from '../ViewsPage';
import { useGroup } from './GroupFrame';

/** The lists of all groups, of one group only. */
export function GroupJobsPage() {
  const { group } = useGroup();
  return <JobList group={group.name} />;
}

export function GroupReportsPage() {
  const { group } = useGroup();
  return <ReportList group={group.name} />;
}

export function GroupRestoresPage() {
  const { group } = useGroup();
  return <RestoreList group={group.name} />;
}

export function GroupViewsPage() {
  const { group } = useGroup();
  return (
    <>
      <ViewList group={group.name} />
      <BranchList group={group.name} />
    </>
  );
}
