/**
 * Starting a run of a plan: what is done with the groups, to which one time, which of the steps, what stands in
 * the way, and for everything that is no drill the plan's name.
 */
import { Checkbox, Radio, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import { serverNow } from '../../api/hearing';
import { planCheck, planForecast } from '../../api/queries';
import type { Plan, PlanMode } from '../../api/types';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { Live } from '../../parts/Live';
import { toPlanRun } from '../../parts/paths';
import { Badge } from '../../parts/StateBadge';
import { TimeField } from '../../parts/TimeField';
import { TypedName } from '../../parts/TypedName';
import { useTimes } from '../../parts/times';
import { useRefusal } from '../../parts/useRefusal';
import { useWish } from '../../parts/useWish';
import { forRun } from '../../states/permission';
import type { PlanText } from '../../states/plan';
import { frameOf } from '../../states/runs';
import { tone } from '../../states/tones';
import { useWords } from '../../words/words';
import { CheckItems, PlanPoints } from './CheckPanel';
import { MODES } from './ModeField';
import { stepLine } from './StepWords';

interface Props {
  plan: Plan;
  mode: PlanMode;
  onClose: () => void;
}

export function StartDialogue({ plan, mode: first, onClose }: Props) {
  const { t, wholeSpan } = useWords();
  const { fromField, toField } = useTimes();
  const navigate = useNavigate();
  const refusal = useRefusal();
  const { steps } = plan.document as unknown as PlanText;
  const [mode, setMode] = useState<PlanMode>(first);
  const [timed, setTimed] = useState(false);
  const [time, setTime] = useState(() => toField(serverNow()));
  const [part, setPart] = useState<string[] | null>(null);
  const [priority, setPriority] = useState('');
  const [stopped, setStopped] = useState('');
  const [isolated, setIsolated] = useState(false);
  const [typed, setTyped] = useState('');

  const live = frameOf(mode) === 'live';
  const emergency = mode === 'emergency';
  const at = timed && mode !== 'planned' ? (fromField(time) ?? '') : undefined;
  const least = priority === '' ? undefined : Number(priority);
  const only = part ?? [];
  const check = useQuery({ ...planCheck(plan.name, mode, at), enabled: at !== '' });
  const forecast = useQuery(planForecast(plan.name, mode, least, only));
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/plan-runs', {
          params: { header: { 'Idempotency-Key': key } },
          body: {
            plan: plan.name,
            mode,
            at,
            only,
            priority: least,
            confirm: live ? typed : undefined,
            interrupted_at: emergency ? (fromField(stopped) ?? undefined) : undefined,
            isolation_confirmed: emergency && isolated,
          },
        }),
      ),
    (run) => {
      onClose();
      navigate(toPlanRun(run.id));
    },
  );
  const fresh = check.data?.mode === mode && !check.isPlaceholderData;
  const ready =
    at !== '' &&
    (part === null || part.length > 0) &&
    (!live || (typed === plan.name && fresh)) &&
    (least === undefined || (least >= 1 && least <= 99));
  return (
    <Dialogue
      title={t('plan.start.title', { plan: plan.name })}
      frame={frameOf(mode)}
      verb={t(`plan.start.${frameOf(mode)}`)}
      ready={ready}
      busy={wish.busy}
      error={wish.error}
      keyed
      size="xl"
      onSend={wish.send}
      onClose={onClose}
    >
      <Radio.Group value={mode} onChange={(next) => setMode(next as PlanMode)} label={t('plan.mode')}>
        <div className="choices is-three">
          {MODES.map((value) => (
            <Radio.Card
              key={value}
              value={value}
              className="choice"
              disabled={refusal(...forRun('start_plan_run', value)) !== null}
            >
              <Radio.Indicator />
              <div>
                <strong>{t(`plan.mode.${value}`)}</strong>
                <p className="quiet small">
                  {refusal(...forRun('start_plan_run', value)) ?? t(`plan.mode.${value}.what`)}
                </p>
              </div>
            </Radio.Card>
          ))}
        </div>
      </Radio.Group>
      {mode !== 'planned' && (
        <Stack gap="xs">
          <Checkbox
            checked={timed}
            onChange={(event) => setTimed(event.currentTarget.checked)}
            label={t('plan.at')}
            description={t('plan.at.what')}
          />
          {timed && (
            <TimeField
              label={t('plan.at.field')}
              value={time}
              onChange={(event) => setTime(event.currentTarget.value)}
            />
          )}
        </Stack>
      )}
      <div className="preview">
        <strong>{t('plan.check')}</strong>
        <Live query={check}>
          {(told) => (
            <>
              <p>
                <Badge tone={tone('planCheck', told.verdict)}>{t(`plan.verdict.${told.verdict}`)}</Badge>
                {live && emergency && <span className="quiet"> {t('plan.loss')}</span>}
              </p>
              <CheckItems check={told} only="trouble" />
              <h3>{t('plan.points')}</h3>
              <PlanPoints check={told} />
            </>
          )}
        </Live>
        <Live query={forecast}>
          {(told) => (
            <p>
              {t(told.is_complete ? 'plan.forecast' : 'plan.forecast.least')}{' '}
              <strong className="number">{wholeSpan(told.at_least_seconds)}</strong>
            </p>
          )}
        </Live>
      </div>
      <Consequences
        title={t('verb.consequences')}
        lines={
          mode === 'drill'
            ? [t('plan.drill.production'), t('plan.drill.cleanup')]
            : mode === 'planned'
              ? [t('plan.planned.production'), t('plan.live.decide'), t('plan.live.cancel')]
              : [
                  t('plan.emergency.production'),
                  t('plan.emergency.source'),
                  t('plan.live.decide'),
                  t('plan.live.cancel'),
                ]
        }
      />
      {emergency && (
        <Stack gap="xs">
          <TimeField
            label={t('failover.interrupted')}
            description={t('failover.interrupted.what')}
            value={stopped}
            onChange={(event) => setStopped(event.currentTarget.value)}
          />
          <Checkbox
            checked={isolated}
            onChange={(event) => setIsolated(event.currentTarget.checked)}
            label={t('plan.isolated')}
            description={t('plan.isolated.what')}
          />
        </Stack>
      )}
      <Stack gap="xs">
        <Checkbox
          checked={part !== null}
          onChange={(event) => setPart(event.currentTarget.checked ? steps.map((step) => step.id) : null)}
          label={t('plan.only')}
          description={t('plan.only.what')}
        />
        {part !== null && (
          <Checkbox.Group value={part} onChange={setPart} aria-label={t('plan.only')}>
            <div className="step-checks">
              {steps.map((step) => (
                <Checkbox
                  key={step.id}
                  value={step.id}
                  label={`${step.id} · ${stepLine(step, t, wholeSpan)}`}
                />
              ))}
            </div>
          </Checkbox.Group>
        )}
        <TextInput
          label={t('plan.least')}
          description={t('plan.least.what')}
          inputMode="numeric"
          maw={240}
          value={priority}
          onChange={(event) => setPriority(event.currentTarget.value.replace(/\D/g, ''))}
        />
      </Stack>
      {live && (
        <TypedName of="plan" name={plan.name} value={typed} onChange={setTyped} why={t('plan.confirm.why')} />
      )}
    </Dialogue>
  );
}
