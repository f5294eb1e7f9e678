import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { ReportList } from './report/ReportList';

/** The signed reports of all groups. */
export function ReportsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.reports')} />
      <ReportList />
    </>
  );
}
