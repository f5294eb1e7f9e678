/** While two sites may be taking writes a failover or failback stands still: its own page has to say so. */
import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { placement as placementQuery } from '../../api/queries';
import { toGroup } from '../../parts/paths';
import { useWords } from '../../words/words';

export function SplitNotice({ group }: { group: string }) {
  const { t } = useWords();
  const { data } = useQuery(placementQuery(group));
  if (data?.state !== 'split_brain_suspected') return null;
  return (
    <Alert color="red" role="alert" title={t('split.title')} mb="md">
      <p>{t('split.what')}</p>
      <Link to={toGroup(group)}>{group} →</Link>
    </Alert>
  );
}
