/** Which disks at home may be overwritten: each by its serial, typed from the disk and not from this page. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { Failback } from '../../api/types';
import { bytes } from '../../format/bytes';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  failback: Failback;
  onClose: () => void;
}

export function ConfirmDisksDialogue({ failback, onClose }: Props) {
  const { t } = useWords();
  const [serials, setSerials] = useState<Record<string, string>>({});
  const typed = (volume: string) => (serials[volume] ?? '').trim();
  const ready = failback.disks.every((disk) => typed(disk.volume) === disk.serial);
  const wish = useWish(
    () =>
      body(
        api.POST('/api/v1/failbacks/{id}/actions/confirm_disks', {
          params: { path: { id: failback.id } },
          body: {
            disks: failback.disks.map((disk) => ({ volume: disk.volume, serial: typed(disk.volume) })),
          },
        }),
      ),
    onClose,
  );
  return (
    <Dialogue
      title={t('disks.dialogue', { group: failback.group_name })}
      frame="live"
      verb={t('disks.do')}
      ready={ready}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <Consequences
        title={t('verb.consequences')}
        lines={[
          t('disks.consequence.overwrite'),
          t(failback.seed === 'original_disk' ? 'disks.consequence.kept' : 'disks.consequence.not_kept'),
          t('disks.consequence.production'),
        ]}
      />
      {failback.disks.map((disk) => {
        const value = serials[disk.volume] ?? '';
        return (
          <TextInput
            key={disk.volume}
            label={t('disks.type', { volume: disk.volume_name ?? disk.volume, serial: disk.serial })}
            description={`${bytes(disk.size_bytes)} · ${t(disk.blank ? 'disks.is_blank' : 'disks.holds_data')}`}
            value={value}
            onChange={(event) => setSerials({ ...serials, [disk.volume]: event.currentTarget.value })}
            error={value !== '' && !disk.serial.startsWith(value.trim()) ? t('disks.wrong') : undefined}
            autoComplete="off"
            spellCheck={false}
            classNames={{ input: 'mono' }}
          />
        );
      })}
    </Dialogue>
  );
}
