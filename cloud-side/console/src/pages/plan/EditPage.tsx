/**
 * Writing a plan: fields for the common steps, and the text that the API takes. Both are the same document. What
 * the server refuses is shown at the steps and lines that it names; it keeps no plan with a fault.
 */
import { Button, Menu, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { ApiProblem } from '../../api/problem';
import { groups as groupsQuery, plan as planQuery } from '../../api/queries';
import type { Plan } from '../../api/types';
import { GuardedButton } from '../../parts/GuardedButton';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { PlanGraph } from '../../parts/PlanGraph';
import { ProblemNotice } from '../../parts/ProblemNotice';
import { toPlan } from '../../parts/paths';
import { Faults, SourceField } from '../../parts/SourceField';
import { useWish } from '../../parts/useWish';
import {
  FORM_KINDS,
  faultsOf,
  freshStep,
  type PlanText,
  read,
  rename,
  type StepKind,
  without,
  write,
} from '../../states/plan';
import { useWords } from '../../words/words';
import { StepCard } from './StepCard';
import { stepLine } from './StepWords';

export function EditPage() {
  const { plan: name = '' } = useParams();
  const query = useQuery({ ...planQuery(name), refetchInterval: false, refetchOnWindowFocus: false });
  return (
    <Live query={query} polled={false}>
      {/* Another version that appears meanwhile is refused when this one is sent, and not mixed into it. */}
      {(plan) => <Editor plan={plan} />}
    </Live>
  );
}

export function NewPlanPage() {
  return <Editor plan={null} />;
}

const EMPTY: PlanText = { name: '', steps: [] };

function Editor({ plan }: { plan: Plan | null }) {
  const { t, wholeSpan, known } = useWords();
  const navigate = useNavigate();
  const [base] = useState(plan);
  const [text, setText] = useState(() => write((base?.document as unknown as PlanText | undefined) ?? EMPTY));
  const [way, setWay] = useState<'form' | 'text'>('form');
  const [sent, setSent] = useState('');
  const groups = useQuery(groupsQuery());
  const found = read(text);
  const document = 'document' in found ? found.document : null;
  const wish = useWish(
    () => {
      setSent(text);
      const name = document?.name ?? '';
      const version = base && base.name === name ? base.version : 0;
      return body(
        api.PUT('/api/v1/plans/{plan}', {
          params: { path: { plan: name }, header: { 'If-Match': `"${version}"` } },
          body: {},
          // As it was written, so that the lines that the server names are those of this page.
          bodySerializer: () => text,
        }),
      );
    },
    (kept) => navigate(toPlan(kept.name)),
  );
  const problem = wish.error instanceof ApiProblem ? wish.error.problem : null;
  // What was said about another text may not be so of this one.
  const told = problem && sent === text ? faultsOf(problem, text) : [];
  const faults = 'fault' in found ? [found.fault] : told;
  const change = (next: PlanText) => setText(write(next));
  const set = (part: Partial<PlanText>) => document && change({ ...document, ...part });

  return (
    <>
      <PageHead
        title={base ? t('plan.edit.title', { plan: base.name }) : t('plan.new')}
        above={base ? { to: toPlan(base.name), name: base.name } : { to: '/plans', name: t('nav.plans') }}
        actions={
          <GuardedButton
            operation="apply_plan"
            label={t('plan.save')}
            look="main"
            loading={wish.busy}
            refused={
              document === null
                ? { why: t('plan.save.broken') }
                : document.name === ''
                  ? { why: t('plan.save.unnamed') }
                  : null
            }
            onClick={wish.send}
          />
        }
        note={t('plan.edit.what')}
      />
      {wish.error && told.length === 0 && sent === text ? <ProblemNotice error={wish.error} /> : null}
      {told.length > 0 && (
        <Panel title={t('plan.faults', { count: told.length })}>
          <p>{t('plan.faults.what')}</p>
          <Faults faults={told} />
        </Panel>
      )}
      <Panel
        title={t('plan.document')}
        side={
          <SegmentedControl
            size="xs"
            value={way}
            onChange={(next) => setWay(next as typeof way)}
            aria-label={t('plan.edit.how')}
            data={[
              { value: 'form', label: t('plan.edit.form') },
              { value: 'text', label: t('plan.edit.text') },
            ]}
          />
        }
      >
        {way === 'text' ? (
          <SourceField label={t('plan.document')} value={text} onChange={setText} faults={faults} />
        ) : document === null ? (
          <>
            <p>{t('plan.edit.broken')}</p>
            <Faults faults={faults} />
          </>
        ) : (
          <>
            <div className="field-grid">
              <TextInput
                label={t('plan.name')}
                description={base ? t('plan.name.other') : t('plan.name.what')}
                value={document.name}
                onChange={(event) => set({ name: event.currentTarget.value })}
                spellCheck={false}
                classNames={{ input: 'mono' }}
              />
              <TextInput
                label={t('plan.at_once')}
                description={t('plan.at_once.what')}
                inputMode="numeric"
                placeholder="4"
                value={document.at_once ?? ''}
                onChange={(event) => {
                  const digits = event.currentTarget.value.replace(/\D/g, '').slice(0, 2);
                  const { at_once: _, ...others } = document;
                  change(digits === '' ? others : { ...document, at_once: Number(digits) });
                }}
              />
              <Textarea
                label={t('plan.description')}
                description={t('plan.description.what')}
                rows={1}
                value={document.description ?? ''}
                onChange={(event) => set({ description: event.currentTarget.value })}
              />
            </div>
            <PlanGraph
              steps={document.steps.map((step) => ({
                id: step.id,
                after: step.after ?? [],
                about: stepLine(step, t, wholeSpan),
                tone: faults.some((fault) => fault.step === step.id) ? 'bad' : 'plain',
                optional: step.critical === false,
              }))}
            />
            {document.steps.map((step, at) => (
              <StepCard
                // biome-ignore lint/suspicious/noArrayIndexKey: an id changes while it is typed
                key={at}
                step={step}
                place={at + 1}
                others={document.steps.filter((_, other) => other !== at).map((other) => other.id)}
                groups={groups.data?.map((group) => group.name) ?? []}
                faults={faults.filter((fault) => fault.step === step.id)}
                first={at === 0}
                last={at === document.steps.length - 1}
                onChange={(next) => set({ steps: document.steps.with(at, next) })}
                onRename={(to) => set({ steps: rename(document.steps, step.id, to) })}
                onMove={(by) => {
                  const steps = document.steps.toSpliced(at, 1);
                  set({ steps: steps.toSpliced(at + by, 0, step) });
                }}
                onRemove={() => set({ steps: without(document.steps, step.id) })}
              />
            ))}
            <Menu>
              <Menu.Target>
                <Button variant="default">{t('plan.step.add')}</Button>
              </Menu.Target>
              <Menu.Dropdown>
                {FORM_KINDS.map((kind: StepKind) => (
                  <Menu.Item
                    key={kind}
                    onClick={() => set({ steps: [...document.steps, freshStep(document.steps, kind)] })}
                  >
                    {known('planKind', kind)}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          </>
        )}
      </Panel>
    </>
  );
}
