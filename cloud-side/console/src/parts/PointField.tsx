/** Which point: the newest, the newest not after a time, or one by its id or label. What it means is shown at once. */
import { SegmentedControl, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../api/client';
import { serverNow } from '../api/hearing';
import { group as groupQuery } from '../api/queries';
import type { Branch } from '../api/types';
import { useWords } from '../words/words';
import { Instant } from './Instant';
import { ProblemNotice } from './ProblemNotice';
import { TimeField } from './TimeField';
import { useTimes } from './times';

interface Props {
  group: string;
  /** What the API is given: `latest`, a time, an id or a label. */
  value: string;
  onChange: (at: string) => void;
  /** Whose own points are meant; the API resolves those of the group only. */
  branch?: Branch;
}

type Way = 'latest' | 'time' | 'named';

function wayOf(value: string): Way {
  if (value === 'latest') return 'latest';
  return /^\d{4}-\d\d-\d\dT/.test(value) ? 'time' : 'named';
}

/**
 * The time that the field begins with: the newest point's, to the next whole second, so that it means that point.
 * Some time before now may be before the first point of a young group. Pure, so that it can be tested.
 */
export function firstTime(newest: string | undefined, now: number): number {
  const time = newest === undefined ? Number.NaN : Date.parse(newest);
  return Number.isNaN(time) ? now : Math.ceil(time / 1000) * 1000;
}

export function PointField({ group, value, onChange, branch }: Props) {
  const { t } = useWords();
  const { fromField, toField } = useTimes();
  const [way, setWay] = useState<Way>(() => wayOf(value));
  const [typed, setTyped] = useState<string | null>(() =>
    wayOf(value) === 'time' ? toField(Date.parse(value)) : null,
  );
  // Only read for the time of the newest point; whoever opens this looks at the group already.
  const { data: known } = useQuery({ ...groupQuery(group), refetchInterval: false });
  const time = typed ?? toField(firstTime(known?.latest_point?.time, serverNow()));
  const choose = (next: Way) => {
    setWay(next);
    if (next === 'latest') onChange('latest');
    else if (next === 'time') {
      setTyped(time);
      onChange(fromField(time) ?? '');
    } else onChange('');
  };
  const found = useQuery({
    queryKey: ['groups', group, 'resolve', value],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/points/{point}', {
          params: { path: { group, point: value } },
          signal,
        }),
      ),
    enabled: value !== '' && !branch,
    refetchInterval: way === 'latest' ? 2000 : false,
    retry: false,
  });
  return (
    <Stack gap="xs">
      <span className="field-name">{t('point.which')}</span>
      <SegmentedControl
        value={way}
        onChange={(next) => choose(next as Way)}
        aria-label={t('point.which')}
        data={[
          { value: 'latest', label: t('point.latest') },
          { value: 'time', label: t('point.time') },
          { value: 'named', label: t('point.named') },
        ]}
      />
      {way === 'time' && (
        <TimeField
          label={t('point.time.field')}
          value={time}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            onChange(fromField(event.currentTarget.value) ?? '');
          }}
        />
      )}
      {way === 'named' && (
        <TextInput
          label={t('point.named.field')}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value.trim())}
          autoComplete="off"
          spellCheck={false}
        />
      )}
      {branch && (
        <p className="quiet small">
          {t('branches.from')} <span className="mono">{branch.base_point}</span>
          {branch.latest_point && (
            <>
              {' '}
              {t('branches.to')} <span className="mono">{branch.latest_point.id}</span>{' '}
              <Instant at={branch.latest_point.time} />
            </>
          )}
        </p>
      )}
      {value !== '' && found.error && <ProblemNotice error={found.error} compact />}
      {value !== '' && found.data && (
        <p className="resolved">
          <span className="mono">{found.data.id}</span>
          {found.data.label && <span className="label-mark">{found.data.label}</span>}
          <Instant at={found.data.time} age />
        </p>
      )}
    </Stack>
  );
}
