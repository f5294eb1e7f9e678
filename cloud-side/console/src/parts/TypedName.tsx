/** The typed confirmation of a live verb: a name cannot be clicked by accident. */
import { TextInput } from '@mantine/core';
import { useWords } from '../words/words';

interface Props {
  name: string;
  value: string;
  onChange: (value: string) => void;
  /** What the name is of; a group by default. */
  of?: 'group' | 'plan' | 'user';
  /** Why it has to be typed; by default because production moves. */
  why?: string;
}

export function TypedName({ name, value, onChange, of = 'group', why }: Props) {
  const { t } = useWords();
  const wrong = value !== '' && !name.startsWith(value);
  return (
    <TextInput
      label={t(of === 'group' ? 'confirm.type' : `confirm.type.${of}`, { name })}
      description={why ?? t('confirm.why')}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      error={wrong ? t('confirm.wrong') : undefined}
      autoComplete="off"
      spellCheck={false}
      data-confirm
    />
  );
}
