/** Who may use the installation: oneself, users and tokens. */
import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { OwnPanel } from './access/OwnPanel';
import { TokensPanel } from './access/TokensPanel';
import { UsersPanel } from './access/UsersPanel';

export function AccessPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.access')} />
      <OwnPanel />
      <UsersPanel />
      <TokensPanel />
    </>
  );
}
