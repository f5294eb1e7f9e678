/** Opening a view: a readable image of a point, on the cloud side's host. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import type { Group } from '../../api/types';
import { parseSpan } from '../../format/spans';
import { Dialogue } from '../../parts/Dialogue';
import { PointField } from '../../parts/PointField';
import { toGroup } from '../../parts/paths';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  at: string;
  onClose: () => void;
}

export function ViewDialogue({ group, at: first, onClose }: Props) {
  const { t } = useWords();
  const navigate = useNavigate();
  const [at, setAt] = useState(first);
  const [lease, setLease] = useState('1d');
  const seconds = parseSpan(lease);
  const wrong = seconds === null || seconds < 1 || seconds > 30 * 86_400;
  const wish = useWish(
    () => body(api.POST('/api/v1/views', { body: { group: group.name, at, lease_seconds: seconds } })),
    () => {
      onClose();
      navigate(toGroup(group.name, 'views'));
    },
  );
  return (
    <Dialogue
      title={t('view.title', { group: group.name })}
      verb={t('view.do')}
      ready={at !== '' && !wrong}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('view.what')}</p>
      <PointField group={group.name} value={at} onChange={setAt} />
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
