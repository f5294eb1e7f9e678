/** A bookmark: a marker placed at the source now. The dialogue stays until the point is really published. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { job as jobQuery } from '../../api/queries';
import type { Group } from '../../api/types';
import { Dialogue } from '../../parts/Dialogue';
import { JobOutcome } from '../../parts/JobOutcome';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  onClose: () => void;
}

export function BookmarkDialogue({ group, onClose }: Props) {
  const { t } = useWords();
  const [label, setLabel] = useState('');
  const [job, setJob] = useState<string | null>(null);
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/groups/{group}/points', {
          params: { path: { group: group.name }, header: { 'Idempotency-Key': key } },
          body: { label: label.trim() },
        }),
      ),
    (made) => setJob(made.id),
  );
  const running = useQuery({ ...jobQuery(job ?? ''), enabled: job !== null });
  return (
    <Dialogue
      title={t('bookmark.title', { group: group.name })}
      verb={t('bookmark.do')}
      ready={label.trim() !== '' && job === null}
      busy={wish.busy}
      error={wish.error}
      keyed
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('bookmark.what')}</p>
      <TextInput
        label={t('bookmark.label')}
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        autoComplete="off"
        data-autofocus
        disabled={job !== null}
      />
      {job !== null && <JobOutcome query={running} />}
    </Dialogue>
  );
}
