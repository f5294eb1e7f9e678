import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { DrillList } from './drill/DrillList';

/** The drills of all groups. */
export function DrillsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.drills')} />
      <DrillList />
    </>
  );
}
