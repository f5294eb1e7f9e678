/** Opening a view: a readable image of a point, on the cloud side's host. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import type { Branch } from '../../api/types';
import { parseSpan } from '../../format/spans';
import { Dialogue } from '../../parts/Dialogue';
import { PointField } from '../../parts/PointField';
import { toGroup } from '../../parts/paths';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  /** Its name. */
  group: string;
  /** Whose own history is meant, instead of the group's. */
  branch?: Branch;
  at: string;
  onClose: () => void;
}

export function ViewDialogue({ group, branch, at: first, onClose }: Props) {
  const { t } = useWords();
  const navigate = useNavigate();
  const [at, setAt] = useState(first);
  const [lease, setLease] = useState('1d');
  const seconds = parseSpan(lease);
  const wrong = seconds === null || seconds < 1 || seconds > 30 * 86_400;
  const wish = useWish(
    () =>
      body(api.POST('/api/v1/views', { body: { group, at, branch: branch?.id, lease_seconds: seconds } })),
    () => {
      onClose();
      navigate(toGroup(group, 'views'));
    },
  );
  return (
    <Dialogue
      title={t(branch ? 'view.title.branch' : 'view.title', { group })}
      verb={t('view.do')}
      ready={at !== '' && !wrong}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('view.what')}</p>
      <PointField group={group} value={at} onChange={setAt} branch={branch} />
      <TextInput
        label={t('view.lease')}
        description={t('view.lease.what')}
        value={lease}
        onChange={(event) => setLease(event.currentTarget.value)}
        error={wrong ? t('view.lease.wrong') : undefined}
      />
    </Dialogue>
  );
}
