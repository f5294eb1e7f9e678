/** A plan: its steps, what stands in the way of a run, how long it would take, and its runs. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { planForecast, plan as planQuery } from '../../api/queries';
import type { Plan, PlanForecast, PlanMode } from '../../api/types';
import { Fact, Facts } from '../../parts/Facts';
import { FileText } from '../../parts/FileText';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { PlanGraph } from '../../parts/PlanGraph';
import { toPlan } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { forRun } from '../../states/permission';
import { aboutOf, type PlanText, write } from '../../states/plan';
import { useWords } from '../../words/words';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { CheckPanel } from './CheckPanel';
import { ModeField } from './ModeField';
import { RunList } from './RunList';
import { StartDialogue } from './StartDialogue';
import { StepWords, stepLine } from './StepWords';

export function PlanPage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const { plan: name = '' } = useParams();
  const query = useQuery(planQuery(name));
  const [mode, setMode] = useState<PlanMode>('drill');
  const [starting, setStarting] = useState<PlanMode | null>(null);
  const [removing, setRemoving] = useState(false);
  const forecast = useQuery(planForecast(name, mode));
  return (
    <Live query={query}>
      {(plan) => {
        const document = plan.document as unknown as PlanText;
        return (
          <>
            <PageHead
              title={plan.name}
              above={{ to: '/plans', name: t('nav.plans') }}
              note={document.description}
              actions={
                <>
                  <GuardedButton
                    operation="remove_plan"
                    label={t('plan.remove')}
                    onClick={() => setRemoving(true)}
                  />
                  <GuardedButton
                    operation="apply_plan"
                    label={t('plan.edit')}
                    to={toPlan(plan.name, 'edit')}
                  />
                  <GuardedButton
                    operation="start_plan_run"
                    label={t('plan.drill')}
                    look="main"
                    onClick={() => setStarting('drill')}
                  />
                  <GuardedButton
                    operation={forRun('start_plan_run', 'planned')}
                    label={t('plan.failover')}
                    look="live"
                    onClick={() => setStarting('planned')}
                  />
                </>
              }
            />
            <Panel title={t('plan.steps')} side={<ModeField value={mode} onChange={setMode} />}>
              <Live query={forecast}>
                {(told) => <Steps plan={plan} document={document} forecast={told} />}
              </Live>
              <Facts>
                <Fact name={t('plans.version')}>
                  <span className="number">{plan.version}</span>
                </Fact>
                <Fact name={t('plans.applied')}>
                  <Instant at={plan.applied_at} age />
                </Fact>
                <Fact name={t('plans.by')}>{plan.applied_by}</Fact>
                <Fact name={t('plan.at_once')}>
                  <span className="number">{document.at_once}</span>
                </Fact>
              </Facts>
            </Panel>
            <CheckPanel plan={plan.name} mode={mode} />
            <RunList plan={plan.name} />
            <Panel title={t('plan.document')}>
              <FileText text={write(document)} name={`${plan.name}.json`} />
            </Panel>
            {starting && <StartDialogue plan={plan} mode={starting} onClose={() => setStarting(null)} />}
            {removing && (
              <VerbDialogue
                title={t('plan.remove.title', { plan: plan.name })}
                verb={t('plan.remove')}
                frame="none"
                lines={[t('plan.remove.gone'), t('plan.remove.kept')]}
                send={async () => {
                  await body(
                    api.DELETE('/api/v1/plans/{plan}', {
                      params: { path: { plan: plan.name }, header: { 'If-Match': `"${plan.version}"` } },
                    }),
                  );
                  navigate('/plans');
                }}
                onClose={() => setRemoving(false)}
              />
            )}
          </>
        );
      }}
    </Live>
  );
}

function Steps({ document, forecast }: { plan: Plan; document: PlanText; forecast: PlanForecast }) {
  const { t, wholeSpan } = useWords();
  const unknown = <span className="quiet">{t('common.unknown')}</span>;
  return (
    <>
      <PlanGraph
        steps={document.steps.map((step) => ({
          id: step.id,
          after: step.after ?? [],
          about: stepLine(step, t, wholeSpan),
          tone: 'plain',
          optional: step.critical === false,
        }))}
      />
      <p>
        {t(forecast.is_complete ? 'plan.forecast' : 'plan.forecast.least')}{' '}
        <strong className="number">{wholeSpan(forecast.at_least_seconds)}</strong>
        <span className="quiet small"> · {t(`planMode.${forecast.mode}`)}</span>
      </p>
      <Table
        caption={t('plan.steps')}
        columns={[
          { name: t('plan.step') },
          { name: t('plan.does') },
          { name: t('plan.after') },
          { name: t('plan.failure') },
          { name: t('plan.priority'), number: true },
          { name: t('plan.begins'), number: true },
          { name: t('plan.takes'), number: true },
          { name: t('plan.basis') },
        ]}
      >
        {document.steps.map((step) => {
          const told = forecast.steps.find((one) => one.step === step.id);
          return (
            <Row key={`${step.id} ${aboutOf(step)}`}>
              <Cell className="mono">{step.id}</Cell>
              <Cell>
                <StepWords step={step} />
              </Cell>
              <Cell className="mono">
                {step.after?.length ? step.after.join(', ') : <span className="quiet">–</span>}
              </Cell>
              <Cell>{t(step.critical === false ? 'plan.optional' : 'plan.critical')}</Cell>
              <NumberCell>{step.priority ?? <span className="quiet">–</span>}</NumberCell>
              <NumberCell>
                {told?.begins_after_seconds == null ? unknown : `+ ${wholeSpan(told.begins_after_seconds)}`}
              </NumberCell>
              <NumberCell>{told?.seconds == null ? unknown : wholeSpan(told.seconds)}</NumberCell>
              <Cell className="small">
                {told?.runs ? t('plan.runs', { count: told.runs }) : told && <Served>{told.basis}</Served>}
              </Cell>
            </Row>
          );
        })}
      </Table>
    </>
  );
}
