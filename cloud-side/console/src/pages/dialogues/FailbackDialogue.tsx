/** Starting a failback: nothing at home is overwritten by it before the disks were confirmed. */
import { Radio, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import type { CommitPolicy, Group, Seed } from '../../api/types';
import { parseSpan } from '../../format/spans';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { PolicyField } from '../../parts/PolicyField';
import { toFailback } from '../../parts/paths';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  onClose: () => void;
}

const SEEDS: Seed[] = ['original_disk', 'blank_disk', 'unmodified_image'];

export function FailbackDialogue({ group, onClose }: Props) {
  const { t } = useWords();
  const navigate = useNavigate();
  const [seed, setSeed] = useState<Seed>('original_disk');
  const [every, setEvery] = useState('60');
  const [policy, setPolicy] = useState<CommitPolicy | null>('manual');
  const seconds = parseSpan(every);
  const wrong = seconds === null || seconds < 1 || seconds > 86_400;
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/failbacks', {
          params: { header: { 'Idempotency-Key': key } },
          body: {
            group: group.name,
            seed,
            round_every_seconds: seconds ?? 60,
            commit_policy: policy ?? 'manual',
          },
        }),
      ),
    (failback) => {
      onClose();
      navigate(toFailback(failback.id));
    },
  );
  return (
    <Dialogue
      title={t('failback.title', { group: group.name })}
      frame="live"
      verb={t('failback.do')}
      ready={!wrong && policy !== null}
      busy={wish.busy}
      error={wish.error}
      keyed
      onSend={wish.send}
      onClose={onClose}
    >
      <Consequences
        title={t('failback.consequences')}
        lines={[
          t('failback.consequence.production'),
          t('failback.consequence.disks'),
          t('failback.consequence.cutover'),
        ]}
      />
      <Radio.Group value={seed} onChange={(next) => setSeed(next as Seed)} label={t('failback.seed')}>
        <div className="choices is-column">
          {SEEDS.map((value) => (
            <Radio.Card key={value} value={value} className="choice">
              <Radio.Indicator />
              <div>
                <strong>{t(`seed.${value}`)}</strong>
                <p className="quiet small">{t(`seed.${value}.what`)}</p>
              </div>
            </Radio.Card>
          ))}
        </div>
      </Radio.Group>
      <TextInput
        label={t('failback.every')}
        description={t('failback.every.what')}
        value={every}
        onChange={(event) => setEvery(event.currentTarget.value)}
        error={wrong ? t('failback.every.wrong') : undefined}
      />
      <PolicyField onChange={setPolicy} />
    </Dialogue>
  );
}
