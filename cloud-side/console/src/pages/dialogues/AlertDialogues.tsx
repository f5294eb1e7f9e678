/** Taking an alert on, and keeping it quiet for a while. */
import { Radio, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { serverNow } from '../../api/hearing';
import type { Alert, AlertMuteScope } from '../../api/types';
import { Dialogue } from '../../parts/Dialogue';
import { TimeField } from '../../parts/TimeField';
import { useTimes } from '../../parts/times';
import { useWish } from '../../parts/useWish';
import { isMuteEnd, MUTES } from '../../states/alerts';
import { useWords } from '../../words/words';

interface Props {
  alert: Alert;
  onClose: () => void;
}

/** The API takes 1000 bytes, and a Chinese character has three. */
const TEXT_MAX = 330;

export function AcknowledgeDialogue({ alert, onClose }: Props) {
  const { t } = useWords();
  const [note, setNote] = useState('');
  const wish = useWish(
    () =>
      body(
        api.POST('/api/v1/alerts/{alert}/actions/acknowledge', {
          params: { path: { alert: alert.id } },
          body: { note: note.trim() === '' ? null : note.trim() },
        }),
      ),
    onClose,
  );
  return (
    <Dialogue
      title={t('alert.acknowledge')}
      verb={t('alert.acknowledge')}
      ready
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('alert.acknowledge.what')}</p>
      <Textarea
        label={t('alert.acknowledge.note')}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        maxLength={TEXT_MAX}
        autosize
        minRows={2}
        data-autofocus
      />
    </Dialogue>
  );
}

const SCOPES: AlertMuteScope[] = ['alert', 'code', 'object'];

export function MuteDialogue({ alert, onClose }: Props) {
  const { t, wholeSpan } = useWords();
  const { fromField, toField } = useTimes();
  const [length, setLength] = useState<string>(String(MUTES[1]));
  const [time, setTime] = useState(() => toField(serverNow() + MUTES[2] * 1000));
  const [scope, setScope] = useState<AlertMuteScope>('alert');
  const [reason, setReason] = useState('');
  const until = () =>
    length === 'time' ? Date.parse(fromField(time) ?? '') : serverNow() + Number(length) * 1000;
  const wrong = !isMuteEnd(until(), serverNow());
  const wish = useWish(
    () =>
      body(
        api.POST('/api/v1/alerts/{alert}/actions/mute', {
          params: { path: { alert: alert.id } },
          body: { until: new Date(until()).toISOString(), reason: reason.trim(), scope },
        }),
      ),
    onClose,
  );
  return (
    <Dialogue
      title={t('alert.mute')}
      verb={t('alert.mute')}
      ready={!wrong && reason.trim() !== ''}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('alert.mute.what')}</p>
      <div>
        <span className="field-name">{t('alert.mute.until')}</span>
        <SegmentedControl
          value={length}
          onChange={setLength}
          aria-label={t('alert.mute.until')}
          data={[
            ...MUTES.map((seconds) => ({ value: String(seconds), label: wholeSpan(seconds) })),
            { value: 'time', label: t('alert.mute.time') },
          ]}
        />
      </div>
      {length === 'time' && (
        <TimeField
          label={t('alert.mute.time.field')}
          value={time}
          onChange={(event) => setTime(event.currentTarget.value)}
          error={wrong ? t('alert.mute.time.wrong') : undefined}
        />
      )}
      <Radio.Group
        value={scope}
        onChange={(next) => setScope(next as AlertMuteScope)}
        label={t('alert.mute.scope')}
      >
        <div className="choices is-three">
          {SCOPES.map((value) => (
            <Radio.Card key={value} value={value} className="choice">
              <Radio.Indicator />
              <div>
                <strong>{t(`muteScope.${value}`)}</strong>
                <p className="quiet small">{t(`muteScope.${value}.what`, { object: alert.object.name })}</p>
              </div>
            </Radio.Card>
          ))}
        </div>
      </Radio.Group>
      <TextInput
        label={t('alert.mute.reason')}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={TEXT_MAX}
        autoComplete="off"
        data-autofocus
      />
    </Dialogue>
  );
}
