import { SegmentedControl } from '@mantine/core';
import type { PlanMode } from '../../api/types';
import { useWords } from '../../words/words';

export const MODES: PlanMode[] = ['drill', 'planned', 'emergency'];

/** What a run would do with the groups, as a switch over what is shown. */
export function ModeField({ value, onChange }: { value: PlanMode; onChange: (mode: PlanMode) => void }) {
  const { t } = useWords();
  return (
    <SegmentedControl
      size="xs"
      value={value}
      onChange={(next) => onChange(next as PlanMode)}
      aria-label={t('runs.mode')}
      data={MODES.map((mode) => ({ value: mode, label: t(`planMode.${mode}`) }))}
    />
  );
}
