import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { FailbackList } from './move/FailbackList';
import { FailoverList } from './move/FailoverList';

/** The failovers and failbacks of all groups. */
export function MovesPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.moves')} />
      <FailoverList />
      <FailbackList />
    </>
  );
}
