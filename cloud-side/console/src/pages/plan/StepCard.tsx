/** A step of a plan as fields: what is done, after what, and what its failure means. */
import { Button, MultiSelect, Select, Switch, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { LaunchSettings } from '../../api/types';
import { MachineForm } from '../../parts/MachineForm';
import { Faults } from '../../parts/SourceField';
import { kept } from '../../states/launch';
import { type Fault, FORM_KINDS, kindOf, type PlanStep } from '../../states/plan';
import { useWords } from '../../words/words';

interface Props {
  step: PlanStep;
  place: number;
  /** The ids of the other steps. */
  others: string[];
  groups: string[];
  faults: Fault[];
  first: boolean;
  last: boolean;
  onChange: (step: PlanStep) => void;
  onRename: (to: string) => void;
  onMove: (by: -1 | 1) => void;
  onRemove: () => void;
}

export function StepCard(props: Props) {
  const { step, place, others, faults, first, last, onChange, onRename, onMove, onRemove } = props;
  const { t, known } = useWords();
  const kind = kindOf(step);
  return (
    <fieldset className="step-card" data-wrong={faults.length > 0 || undefined}>
      <legend>
        {place}. {known('planKind', kind) ?? kind}
      </legend>
      <div className="field-grid">
        <TextInput
          label={t('plan.step.id')}
          value={step.id}
          onChange={(event) => onRename(event.currentTarget.value)}
          spellCheck={false}
          classNames={{ input: 'mono' }}
        />
        <MultiSelect
          label={t('plan.after')}
          data={others}
          value={(step.after ?? []).filter((name) => others.includes(name))}
          onChange={(after) => onChange({ ...step, after })}
          placeholder={step.after?.length ? undefined : t('plan.after.none')}
          classNames={{ input: 'chips' }}
          searchable={others.length > 8}
        />
        <TextInput
          label={t('plan.priority.field')}
          inputMode="numeric"
          placeholder={t('plan.priority.default')}
          value={step.priority ?? ''}
          onChange={(event) => {
            const digits = event.currentTarget.value.replace(/\D/g, '').slice(0, 2);
            const { priority: _, ...others } = step;
            onChange(digits === '' ? others : { ...step, priority: Number(digits) });
          }}
        />
      </div>
      <Inside {...props} />
      <div className="step-card-do">
        <Switch
          checked={step.critical !== false}
          onChange={(event) => onChange({ ...step, critical: event.currentTarget.checked })}
          label={t(step.critical === false ? 'plan.optional.what' : 'plan.critical.what')}
        />
        <span className="button-row">
          <Button size="compact-xs" variant="default" disabled={first} onClick={() => onMove(-1)}>
            {t('plan.step.up')}
          </Button>
          <Button size="compact-xs" variant="default" disabled={last} onClick={() => onMove(1)}>
            {t('plan.step.down')}
          </Button>
          <Button size="compact-xs" variant="subtle" color="red" onClick={onRemove}>
            {t('plan.step.remove')}
          </Button>
        </span>
      </div>
      <Faults faults={faults} />
    </fieldset>
  );
}

/** The fields of its kind; those of other kinds are text only. */
function Inside({ step, groups, onChange }: Props) {
  const { t } = useWords();
  const kind = kindOf(step);
  const inside = step.do[kind] ?? {};
  const set = (part: Record<string, unknown>) =>
    onChange({ ...step, do: { ...step.do, [kind]: { ...inside, ...part } } });
  if (!(FORM_KINDS as readonly string[]).includes(kind))
    return <p className="quiet small">{t('plan.step.text_only')}</p>;
  switch (kind) {
    case 'group': {
      const name = String(inside.name ?? '');
      // A group that this console does not see stays what the text says.
      const data = name === '' || groups.includes(name) ? groups : [name, ...groups];
      return (
        <>
          <Select
            label={t('common.group')}
            data={data}
            value={name === '' ? null : name}
            allowDeselect={false}
            placeholder={t('plan.step.choose')}
            searchable={data.length > 8}
            maw={360}
            description={inside.networks ? t('plan.step.networks') : t('plan.step.networks.none')}
            onChange={(next) => next && set({ name: next })}
          />
          <StepMachine
            settings={inside.launch_settings as LaunchSettings | undefined}
            onChange={(launch_settings) => set({ launch_settings })}
          />
        </>
      );
    }
    case 'wait':
      return (
        <TextInput
          label={t('plan.step.seconds')}
          inputMode="numeric"
          maw={200}
          value={String(inside.seconds ?? '')}
          onChange={(event) =>
            set({ seconds: Number(event.currentTarget.value.replace(/\D/g, '').slice(0, 6)) })
          }
        />
      );
    default: {
      const who = Array.isArray(inside.who) ? inside.who.join(', ') : '';
      return (
        <div className="field-pair">
          <TextInput
            label={t('plan.step.message')}
            value={String(inside.message ?? '')}
            onChange={(event) => set({ message: event.currentTarget.value })}
          />
          <TextInput
            // The text is read when one leaves the field: a name is typed letter by letter.
            key={who}
            label={t('plan.step.who')}
            description={t('plan.step.who.what')}
            defaultValue={who}
            onBlur={(event) => {
              const names = event.currentTarget.value.split(',').map((name) => name.trim());
              set({ who: names.filter(Boolean) });
            }}
          />
        </div>
      );
    }
  }
}

interface MachineProps {
  settings: LaunchSettings | undefined;
  onChange: (settings: LaunchSettings | undefined) => void;
}

/** The machine of a group's step: the default one, or one that is described here. */
function StepMachine({ settings, onChange }: MachineProps) {
  const { t } = useWords();
  const [open, setOpen] = useState(false);
  return (
    <div>
      <div className="step-machine">
        <Switch
          label={t('plan.step.machine')}
          description={t('plan.step.machine.what')}
          checked={settings !== undefined}
          onChange={(event) => {
            const { checked } = event.currentTarget;
            setOpen(checked);
            onChange(checked ? {} : undefined);
          }}
        />
        {settings !== undefined && (
          <Button size="compact-xs" variant="subtle" onClick={() => setOpen(!open)} aria-expanded={open}>
            {t(open ? 'machine.close' : 'machine.open')}
          </Button>
        )}
      </div>
      {settings !== undefined && open && (
        // What is left empty is not written into the plan; the switch says that it has a machine of its own.
        <MachineForm settings={settings} onChange={(next) => onChange(kept(next) ?? {})} />
      )}
    </div>
  );
}
