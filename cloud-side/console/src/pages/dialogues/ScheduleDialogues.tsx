/** Setting and removing a group's drill schedule. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, body } from '../../api/client';
import type { DrillSchedule, Group } from '../../api/types';
import { parseSpan } from '../../format/spans';
import { Dialogue } from '../../parts/Dialogue';
import { type Launch, MachineFields } from '../../parts/MachineFields';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

const HOUR = 3600;
const DAY = 24 * HOUR;

interface Props {
  group: Group;
  set: DrillSchedule | undefined;
  onClose: () => void;
}

/** Seconds as the shortest text that means the same. */
export function asTyped(seconds: number): string {
  if (seconds % DAY === 0) return `${seconds / DAY}d`;
  if (seconds % HOUR === 0) return `${seconds / HOUR}h`;
  return `${seconds}s`;
}

export function ScheduleDialogue({ group, set, onClose }: Props) {
  const { t } = useWords();
  const [every, setEvery] = useState(set ? asTyped(set.every_seconds) : '7d');
  const [at, setAt] = useState(set ? (set.at?.slice(0, 5) ?? '') : '02:00');
  const [zone, setZone] = useState(set?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [age, setAge] = useState(set && set.point !== 'latest' ? asTyped(set.point.age.seconds) : '');
  const [way, setWay] = useState<'latest' | 'age'>(set && set.point !== 'latest' ? 'age' : 'latest');
  const [launch, setLaunch] = useState<Launch | null>(
    set?.launch_settings ? { settings: set.launch_settings, origin: 'schedule' } : null,
  );
  const cadence = parseSpan(every);
  const cadenceWrong = cadence === null || cadence < HOUR || cadence > 731 * DAY;
  const timeWrong = at !== '' && cadence !== null && cadence % DAY !== 0;
  const least = parseSpan(age);
  const ageWrong = way === 'age' && (least === null || least < 1);
  const wish = useWish(
    () =>
      body(
        api.PUT('/api/v1/groups/{group}/drill-schedule', {
          params: { path: { group: group.name } },
          body: {
            every_seconds: cadence ?? DAY,
            at: at === '' ? null : at,
            zone: zone.trim() === '' ? null : zone.trim(),
            point: way === 'latest' ? 'latest' : { age: { seconds: least ?? 0 } },
            hold_seconds: set?.hold_seconds ?? 0,
            launch_settings: launch?.settings,
          },
        }),
      ),
    onClose,
  );
  return (
    <Dialogue
      title={t('schedule.dialogue', { group: group.name })}
      frame="test"
      verb={t('schedule.set')}
      ready={!cadenceWrong && !timeWrong && !ageWrong && launch !== null}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('schedule.what')}</p>
      <div className="field-grid">
        <TextInput
          label={t('schedule.every')}
          description={t('schedule.every.what')}
          value={every}
          onChange={(event) => setEvery(event.currentTarget.value)}
          error={cadenceWrong ? t('schedule.every.wrong') : undefined}
        />
        <TextInput
          type="time"
          label={t('schedule.at')}
          description={t('schedule.at.what')}
          value={at}
          onChange={(event) => setAt(event.currentTarget.value)}
          error={timeWrong ? t('schedule.at.wrong') : undefined}
        />
        <TextInput
          label={t('schedule.zone')}
          description={t('schedule.zone.what')}
          value={zone}
          onChange={(event) => setZone(event.currentTarget.value)}
        />
      </div>
      <div>
        <span className="field-name">{t('schedule.point')}</span>
        <SegmentedControl
          value={way}
          onChange={(next) => setWay(next as 'latest' | 'age')}
          aria-label={t('schedule.point')}
          data={[
            { value: 'latest', label: t('point.latest') },
            { value: 'age', label: t('schedule.point.age') },
          ]}
        />
      </div>
      {way === 'age' && (
        <TextInput
          label={t('schedule.point.age.field')}
          placeholder="24h"
          value={age}
          onChange={(event) => setAge(event.currentTarget.value)}
          error={ageWrong && age !== '' ? t('schedule.age.wrong') : undefined}
        />
      )}
      <MachineFields group={group.name} value={launch} onChange={setLaunch} />
    </Dialogue>
  );
}

export function RemoveScheduleDialogue({ group, onClose }: { group: Group; onClose: () => void }) {
  const { t } = useWords();
  const wish = useWish(
    () =>
      body(api.DELETE('/api/v1/groups/{group}/drill-schedule', { params: { path: { group: group.name } } })),
    onClose,
  );
  return (
    <Dialogue
      title={t('schedule.remove.title', { group: group.name })}
      verb={t('schedule.remove')}
      ready
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('schedule.remove.what')}</p>
    </Dialogue>
  );
}
