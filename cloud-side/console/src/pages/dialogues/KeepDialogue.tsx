/** The way out of a split brain: one site's data is kept. */
import { api, body } from '../../api/client';
import type { Group, Site } from '../../api/types';
import { useWords } from '../../words/words';
import { VerbDialogue } from './VerbDialogue';

interface Props {
  group: Group;
  site: Site;
  onClose: () => void;
}

export function KeepDialogue({ group, site, onClose }: Props) {
  const { t } = useWords();
  const request = (confirm: string) => ({ params: { path: { group: group.name } }, body: { confirm } });
  const send = (confirm: string) =>
    site === 'source'
      ? body(api.POST('/api/v1/groups/{group}/placement/actions/keep_source', request(confirm)))
      : body(api.POST('/api/v1/groups/{group}/placement/actions/keep_target', request(confirm)));
  return (
    <VerbDialogue
      title={t(`keep.${site}.title`, { group: group.name })}
      verb={t(`keep.${site}.do`)}
      lines={[t(`keep.${site}.production`), t(`keep.${site}.other`), t('keep.final')]}
      confirm={group.name}
      send={send}
      onClose={onClose}
    />
  );
}
