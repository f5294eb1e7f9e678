/** The typed confirmation of a live verb: a group's name cannot be clicked by accident. */
import { TextInput } from '@mantine/core';
import { useWords } from '../words/words';

interface Props {
  name: string;
  value: string;
  onChange: (value: string) => void;
}

export function TypedName({ name, value, onChange }: Props) {
  const { t } = useWords();
  const wrong = value !== '' && !name.startsWith(value);
  return (
    <TextInput
      label={t('confirm.type', { name })}
      description={t('confirm.why')}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      error={wrong ? t('confirm.wrong') : undefined}
      autoComplete="off"
      spellCheck={false}
      data-confirm
    />
  );
}
