import { Link } from 'react-router';
import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';

export function NotFoundPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('notfound.title')} />
      <p>
        {t('notfound.what')} <Link to="/groups">{t('nav.groups')}</Link>
      </p>
    </>
  );
}
