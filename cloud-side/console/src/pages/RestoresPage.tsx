import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { RestoreList } from './restore/RestoreList';

/** The restores of all groups. */
export function RestoresPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.restores')} />
      <RestoreList />
    </>
  );
}
