/** Starting a drill: a test, which production does not notice. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import type { Group } from '../../api/types';
import { parseSpan } from '../../format/spans';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { type Launch, MachineFields } from '../../parts/MachineFields';
import { PointField } from '../../parts/PointField';
import { toDrill } from '../../parts/paths';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  at: string;
  onClose: () => void;
}

export function DrillDialogue({ group, at: first, onClose }: Props) {
  const { t } = useWords();
  const navigate = useNavigate();
  const [at, setAt] = useState(first);
  const [hold, setHold] = useState('0');
  const [launch, setLaunch] = useState<Launch | null>(null);
  const seconds = parseSpan(hold);
  const holdWrong = seconds === null || seconds > 86_400;
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/drills', {
          params: { header: { 'Idempotency-Key': key } },
          body: { group: group.name, at, hold_seconds: seconds ?? 0, launch_settings: launch?.settings },
        }),
      ),
    (drill) => {
      onClose();
      navigate(toDrill(drill.id));
    },
  );
  return (
    <Dialogue
      title={t('drill.title', { group: group.name })}
      frame="test"
      verb={t('drill.do')}
      ready={at !== '' && launch !== null && !holdWrong}
      busy={wish.busy}
      error={wish.error}
      keyed
      onSend={wish.send}
      onClose={onClose}
    >
      <Consequences
        title={t('drill.consequences')}
        lines={[
          t('drill.consequence.production'),
          t('drill.consequence.network'),
          t('drill.consequence.cleanup'),
        ]}
      />
      <PointField group={group.name} value={at} onChange={setAt} />
      <TextInput
        label={t('drill.hold')}
        description={t('drill.hold.what')}
        value={hold}
        onChange={(event) => setHold(event.currentTarget.value)}
        error={holdWrong ? t('drill.hold.wrong') : undefined}
      />
      <MachineFields group={group.name} value={launch} onChange={setLaunch} />
    </Dialogue>
  );
}
