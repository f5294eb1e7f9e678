/**
 * Starting a failover, in the order in which somebody under stress should think: which kind, which point, what
 * is lost, what happens when nobody decides, and then the group's name.
 */
import { Checkbox, Radio, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import { preview as previewQuery } from '../../api/queries';
import type { CommitPolicy, FailoverMode, Group, NewFailover } from '../../api/types';
import { type CardDraft, CardFields, cardsOf } from '../../parts/CardFields';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { Fact, Facts } from '../../parts/Facts';
import { Age, Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { LossFigures } from '../../parts/LossFigures';
import { type Launch, MachineFields } from '../../parts/MachineFields';
import { PointField } from '../../parts/PointField';
import { PolicyField } from '../../parts/PolicyField';
import { toFailover } from '../../parts/paths';
import { TimeField } from '../../parts/TimeField';
import { TypedName } from '../../parts/TypedName';
import { useTimes } from '../../parts/times';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  at: string;
  onClose: () => void;
}

export function FailoverDialogue({ group, at: first, onClose }: Props) {
  const { t, state } = useWords();
  const { fromField } = useTimes();
  const navigate = useNavigate();
  // A point that was chosen can be booted by an emergency failover only; a source that is silent cannot be asked.
  const [mode, setMode] = useState<FailoverMode>(
    first === 'latest' && group.capture.connected ? 'planned' : 'emergency',
  );
  const [at, setAt] = useState(first);
  const [stopped, setStopped] = useState('');
  const [isolated, setIsolated] = useState(false);
  const [policy, setPolicy] = useState<CommitPolicy | null>('manual');
  const [launch, setLaunch] = useState<Launch | null>(null);
  const [cards, setCards] = useState<CardDraft[] | null>(null);
  const [typed, setTyped] = useState('');

  const emergency = mode === 'emergency';
  const instant = emergency ? at : 'latest';
  const interruptedAt = emergency ? (fromField(stopped) ?? undefined) : undefined;
  const shown = useQuery({ ...previewQuery(group.name, instant, interruptedAt), enabled: instant !== '' });
  const serving = shown.data?.source?.serving === 'writable';
  const networks = cards === null ? undefined : cardsOf(cards);

  const wish = useWish(
    (key) => {
      const wanted: NewFailover = {
        group: group.name,
        mode,
        at: instant,
        confirm: typed,
        interrupted_at: interruptedAt,
        isolation_confirmed: emergency && isolated,
        commit_policy: policy ?? 'manual',
        launch_settings: launch?.settings,
        // The document has no form for a card; `types.ts` has.
        networks: networks as NewFailover['networks'],
      };
      return body(
        api.POST('/api/v1/failovers', { params: { header: { 'Idempotency-Key': key } }, body: wanted }),
      );
    },
    (failover) => {
      onClose();
      navigate(toFailover(failover.id));
    },
  );
  const ready =
    typed === group.name &&
    instant !== '' &&
    policy !== null &&
    launch !== null &&
    networks !== null &&
    // The failover would end at its probe.
    (!emergency || !serving || isolated) &&
    // Without a preview nobody knows what is agreed to.
    shown.data !== undefined;

  return (
    <Dialogue
      title={t('failover.title', { group: group.name })}
      frame="live"
      verb={t('failover.do')}
      ready={ready}
      busy={wish.busy}
      error={wish.error}
      keyed
      size="xl"
      onSend={wish.send}
      onClose={onClose}
    >
      <Radio.Group value={mode} onChange={(next) => setMode(next as FailoverMode)} label={t('failover.mode')}>
        <div className="choices">
          {(['planned', 'emergency'] as const).map((value) => (
            <Radio.Card key={value} value={value} className="choice">
              <Radio.Indicator />
              <div>
                <strong>{t(`failover.mode.${value}`)}</strong>
                <p className="quiet small">{t(`failover.mode.${value}.what`)}</p>
              </div>
            </Radio.Card>
          ))}
        </div>
      </Radio.Group>
      {emergency && (
        <Stack gap="xs">
          <PointField group={group.name} value={at} onChange={setAt} />
          <TimeField
            label={t('failover.interrupted')}
            description={t('failover.interrupted.what')}
            value={stopped}
            onChange={(event) => setStopped(event.currentTarget.value)}
          />
        </Stack>
      )}
      {instant !== '' && (
        <div className="preview">
          <strong>{t('failover.preview')}</strong>
          <Live query={shown}>
            {(preview) => (
              <>
                {emergency ? <LossFigures loss={preview.loss} /> : <p>{t('failover.preview.planned')}</p>}
                <Facts>
                  {emergency && (
                    <Fact name={t('failover.boots')}>
                      <span className="mono">{preview.point.id}</span>{' '}
                      {preview.point.label && <span className="label-mark">{preview.point.label}</span>}{' '}
                      <Instant at={preview.point.time} age />
                    </Fact>
                  )}
                  <Fact name={t('place.source')}>
                    {preview.source ? state('serving', preview.source.serving) : t('place.source.silent')}
                  </Fact>
                  <Fact name={t('failover.readiness')}>{state('readiness', group.readiness.state)}</Fact>
                  <Fact name={t('answer.proven')}>
                    {group.drill.last_passed_at ? (
                      <Age at={group.drill.last_passed_at} />
                    ) : (
                      t('groups.drill.never')
                    )}
                  </Fact>
                </Facts>
              </>
            )}
          </Live>
        </div>
      )}
      <Consequences
        title={t('failover.consequences')}
        lines={
          emergency
            ? [
                t('failover.emergency.production'),
                t('failover.emergency.lost'),
                t('failover.emergency.source'),
                t('failover.reversible'),
                t('failover.unprotected'),
              ]
            : [
                t('failover.planned.production'),
                t('failover.planned.lost'),
                t('failover.reversible'),
                t('failover.unprotected'),
              ]
        }
      />
      {emergency && serving && (
        <Checkbox
          checked={isolated}
          onChange={(event) => setIsolated(event.currentTarget.checked)}
          label={t('failover.isolated')}
          description={t('failover.isolated.what')}
        />
      )}
      <PolicyField onChange={setPolicy} />
      <MachineFields group={group.name} value={launch} onChange={setLaunch} />
      <CardFields cards={cards} onChange={setCards} />
      <TypedName name={group.name} value={typed} onChange={setTyped} />
    </Dialogue>
  );
}
