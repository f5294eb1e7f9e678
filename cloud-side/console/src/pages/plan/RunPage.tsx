/** A run of a plan: the stopwatch, each step, and who has to decide what. */
import { Textarea } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { planForecast, planRun } from '../../api/queries';
import type { PlanRun, PlanRunStep } from '../../api/types';
import { stopwatch } from '../../format/spans';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { PlanGraph } from '../../parts/PlanGraph';
import { toDrill, toFailover, toGroup, toPlan } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { useStale } from '../../parts/staleness';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { forRun } from '../../states/permission';
import { frameOf, isOver, ranFor, settled } from '../../states/runs';
import { tone } from '../../states/tones';
import { useWords } from '../../words/words';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { PlanPoints } from './CheckPanel';

type StepVerb = 'approve' | 'retry-step' | 'skip-step';
const OPERATIONS = {
  approve: 'approve_plan_step',
  'retry-step': 'retry_plan_step',
  'skip-step': 'skip_plan_step',
} as const;
type Asked = { verb: StepVerb; step: PlanRunStep } | { verb: 'cancel'; step: null };

export function RunPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(planRun(id));
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <Live query={query}>
      {(run) => (
        <>
          <PageHead
            title={t(`run.page.${frameOf(run.mode)}`, { plan: run.plan })}
            above={{ to: toPlan(run.plan), name: run.plan }}
            badges={
              <>
                <StateBadge kind="planRun" value={run.state} />
                <Badge tone="plain">{t(`planMode.${run.mode}`)}</Badge>
              </>
            }
            actions={
              isOver(run) ? null : (
                <ActionButton
                  action={actionOf(run.allowed_actions, 'cancel')}
                  operation={forRun('cancel_plan_run', run.mode)}
                  label={t('run.cancel')}
                  look={frameOf(run.mode)}
                  onClick={() => setAsked({ verb: 'cancel', step: null })}
                />
              )
            }
          />
          <Panel
            title={t(`run.state.${run.state}`)}
            frame={isOver(run) ? undefined : frameOf(run.mode)}
            side={
              isOver(run) ? null : (
                <span className={`frame-word frame-word-${frameOf(run.mode)}`}>
                  {t(frameOf(run.mode) === 'live' ? 'frame.live' : 'frame.test')}
                </span>
              )
            }
          >
            <Watch run={run} />
            <PlanGraph
              steps={run.steps.map((step) => ({
                id: step.id,
                after: step.after,
                about: step.about,
                tone: tone('planStep', step.state),
                optional: !step.critical,
              }))}
            />
            <About run={run} />
          </Panel>
          <Panel title={t('steps.title')}>
            <RunSteps run={run} onAsk={(verb, step) => setAsked({ verb, step })} />
          </Panel>
          <Panel title={t('plan.points')}>
            <PlanPoints check={run} />
            {run.taken_skew_seconds != null && <Skew seconds={run.taken_skew_seconds} />}
          </Panel>
          {asked && <Decide run={run} asked={asked} onClose={() => setAsked(null)} />}
        </>
      )}
    </Live>
  );
}

function Skew({ seconds }: { seconds: number }) {
  const { t, span } = useWords();
  return (
    <p>
      {t('run.skew')} <strong className="number">{span(seconds)}</strong>
    </p>
  );
}

function Watch({ run }: { run: PlanRun }) {
  const { t, wholeSpan } = useWords();
  const now = useNow();
  const stale = useStale();
  const forecast = useQuery(planForecast(run.plan, run.mode, run.priority ?? undefined, run.only));
  const { done, of } = settled(run);
  // A watch that goes on while nothing is heard would tell of a run that nobody sees.
  const shown = stale ? '–' : stopwatch(ranFor(run, now));
  return (
    <div className="figures">
      <div className="figure">
        <div className="figure-value number watch" aria-live="off">
          {shown}
        </div>
        <div className="figure-name">{t(isOver(run) ? 'run.took' : 'run.going')}</div>
      </div>
      <div className="figure">
        <div className="figure-value number">
          {done} / {of}
        </div>
        <div className="figure-name">{t('runs.settled')}</div>
      </div>
      {!isOver(run) && forecast.data && forecast.data.version === run.version && (
        <div className="figure">
          <div className="figure-value number">
            {!forecast.data.is_complete && '≥ '}
            {wholeSpan(forecast.data.at_least_seconds)}
          </div>
          <div className="figure-name">{t('run.forecast')}</div>
        </div>
      )}
    </div>
  );
}

function About({ run }: { run: PlanRun }) {
  const { t } = useWords();
  return (
    <Facts>
      <Fact name={t('runs.began')}>
        <Instant at={run.began_at} age />
      </Fact>
      <Fact name={t('moves.finished')}>
        <Instant at={run.ended_at} />
      </Fact>
      <Fact name={t('moves.operator')}>{run.operator}</Fact>
      <Fact name={t('plans.version')}>
        <span className="number">{run.version}</span>
      </Fact>
      <Fact name={t('run.at')}>{run.at ? <Instant at={run.at} /> : t('point.latest')}</Fact>
      {run.interrupted_at && (
        <Fact name={t('failover.interrupted')}>
          <Instant at={run.interrupted_at} />
        </Fact>
      )}
      {run.only.length > 0 && (
        <Fact name={t('plan.only')}>
          <span className="mono">{run.only.join(', ')}</span>
        </Fact>
      )}
      {run.priority != null && (
        <Fact name={t('plan.least')}>
          <span className="number">{run.priority}</span>
        </Fact>
      )}
      {run.cancelled && (
        <Fact name={t('run.cancelled')}>
          {run.cancelled.by} · <Instant at={run.cancelled.at} />
          {run.cancelled.reason && <div>{run.cancelled.reason}</div>}
        </Fact>
      )}
      <Fact name={t('moves.id')}>
        <Id value={run.id} whole />
      </Fact>
    </Facts>
  );
}

/** The page of what carries a step out. */
function workOf(step: PlanRunStep): string | null {
  if (step.reference?.startsWith('drl-')) return toDrill(step.reference);
  return step.reference?.startsWith('fov-') ? toFailover(step.reference) : null;
}

interface StepsProps {
  run: PlanRun;
  onAsk: (verb: StepVerb, step: PlanRunStep) => void;
}

/** Steps that somebody may have to decide about; on others no verb means anything yet. */
const OPEN: ReadonlySet<PlanRunStep['state']> = new Set(['running', 'awaiting_approval', 'failed']);

/** What can be decided about a step of a kind at all: nobody releases a group, and an approval is not skipped. */
function verbsOf({ kind }: PlanRunStep): StepVerb[] {
  if (kind === 'approval') return ['approve'];
  return kind === 'wait' ? ['skip-step'] : ['retry-step', 'skip-step'];
}

function RunSteps({ run, onAsk }: StepsProps) {
  const { t, known } = useWords();
  return (
    <Table
      caption={t('steps.title')}
      columns={[
        { name: t('plan.step') },
        { name: t('plan.does') },
        { name: t('moves.state') },
        { name: t('steps.took'), number: true },
        { name: t('steps.attempts'), number: true },
        { name: t('run.happened') },
        { name: t('points.do') },
      ]}
    >
      {run.steps.map((step) => (
        <Row
          key={step.id}
          className={step.state === 'waiting' || step.state === 'not_run' ? 'to-come' : undefined}
        >
          <Cell>
            <div className="mono step-name">{step.id}</div>
            {step.after.length > 0 && (
              <div className="quiet small">{t('run.after', { steps: step.after.join(', ') })}</div>
            )}
          </Cell>
          <Cell>
            <div>{known('planKind', step.kind) ?? step.kind}</div>
            <div className="small observed">
              {step.kind === 'group' ? <Link to={toGroup(step.about)}>{step.about}</Link> : step.about}
            </div>
            {!step.critical && <div className="quiet small">{t('run.optional')}</div>}
          </Cell>
          <Cell>
            <StateBadge kind="planStep" value={step.state} />
          </Cell>
          <NumberCell>
            <StepTime step={step} />
          </NumberCell>
          <NumberCell>{step.attempts || ''}</NumberCell>
          <Cell className="observed">
            <Happened step={step} />
          </Cell>
          <Cell>
            <div className="button-row step-do">
              {isOver(run) || !OPEN.has(step.state)
                ? null
                : verbsOf(step).map((verb) => (
                    <ActionButton
                      key={verb}
                      action={actionOf(step.allowed_actions, verb)}
                      operation={forRun(OPERATIONS[verb], run.mode)}
                      label={t(`run.${verb}`)}
                      look={verb === 'skip-step' ? 'plain' : 'main'}
                      onClick={() => onAsk(verb, step)}
                    />
                  ))}
            </div>
          </Cell>
        </Row>
      ))}
    </Table>
  );
}

function StepTime({ step }: { step: PlanRunStep }) {
  const { t, took, wholeSpan } = useWords();
  const now = useNow();
  const stale = useStale();
  if (step.seconds != null) return took(step.seconds);
  if (step.state !== 'running' && step.state !== 'awaiting_approval') return null;
  if (stale) return <span className="quiet">{t('common.unknown')}</span>;
  if (step.remaining_seconds != null) return t('run.left', { span: wholeSpan(step.remaining_seconds) });
  return step.began_at ? stopwatch((now - Date.parse(step.began_at)) / 1000) : null;
}

function Happened({ step }: { step: PlanRunStep }) {
  const { t } = useWords();
  const work = workOf(step);
  return (
    <>
      {step.note && (
        <div>
          <Served>{step.note}</Served>
        </div>
      )}
      {step.failure && (
        <div>
          <Served>{step.failure.cause}</Served>
          <div>
            <strong>{t('problem.remedy')}</strong> <Served>{step.failure.remedy}</Served>
          </div>
          <span className="quiet mono small">{step.failure.code}</span>
        </div>
      )}
      {step.decided && (
        <div>
          {t('run.by', { name: step.decided.by })} · <Instant at={step.decided.at} />
          {step.decided.reason && <div>{step.decided.reason}</div>}
        </div>
      )}
      {step.reason && !step.decided && (
        <div>
          <Served>{step.reason}</Served>
        </div>
      )}
      {step.state === 'awaiting_approval' && (
        <div className="quiet">
          {step.who.length === 0 ? t('plan.who.all') : t('plan.who', { names: step.who.join(', ') })}
        </div>
      )}
      {step.point && (
        <div className="quiet small">
          {t('run.point')} <span className="mono">{step.point}</span> <Instant at={step.point_time} />
        </div>
      )}
      {work && <Link to={work}>{t(work.startsWith('/drills') ? 'kind.drill' : 'kind.failover')} →</Link>}
    </>
  );
}

function Decide({ run, asked, onClose }: { run: PlanRun; asked: Asked; onClose: () => void }) {
  const { t } = useWords();
  const [reason, setReason] = useState('');
  const frame = frameOf(run.mode);
  const path = { id: run.id };
  const said = reason.trim() === '' ? undefined : reason.trim();
  const send = () => {
    const step = asked.step?.id ?? '';
    switch (asked.verb) {
      case 'approve':
        return body(
          api.POST('/api/v1/plan-runs/{id}/actions/approve', {
            params: { path },
            body: { step, reason: said },
          }),
        );
      case 'retry-step':
        return body(
          api.POST('/api/v1/plan-runs/{id}/actions/retry-step', { params: { path }, body: { step } }),
        );
      case 'skip-step':
        return body(
          api.POST('/api/v1/plan-runs/{id}/actions/skip-step', {
            params: { path },
            body: { step, reason: said ?? '' },
          }),
        );
      case 'cancel':
        return body(
          api.POST('/api/v1/plan-runs/{id}/actions/cancel', { params: { path }, body: { reason: said } }),
        );
    }
  };
  return (
    <VerbDialogue
      title={t(`run.${asked.verb}.title`, { step: asked.step?.id ?? run.plan })}
      verb={t(`run.${asked.verb}`)}
      frame={frame}
      lines={
        asked.verb === 'approve'
          ? [asked.step.about, t('run.approve.what')]
          : asked.verb === 'cancel'
            ? [t('run.cancel.begins'), t(`run.cancel.${frame}`)]
            : [t(`run.${asked.verb}.what`)]
      }
      filled={asked.verb !== 'skip-step' || said !== undefined}
      send={send}
      onClose={onClose}
    >
      {asked.verb !== 'retry-step' && (
        <Textarea
          label={t(asked.verb === 'skip-step' ? 'run.reason.needed' : 'run.reason')}
          description={t('run.reason.what')}
          rows={2}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      )}
    </VerbDialogue>
  );
}
