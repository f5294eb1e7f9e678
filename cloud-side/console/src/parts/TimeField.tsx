/** A field for an instant, to the second, which says in which zone it is typed. */
import { TextInput, type TextInputProps } from '@mantine/core';
import { useWords } from '../words/words';
import { useTimes } from './times';

interface Props extends Omit<TextInputProps, 'type' | 'step' | 'label'> {
  label: string;
}

export function TimeField({ label, ...others }: Props) {
  const { t } = useWords();
  const { zone } = useTimes();
  return (
    <TextInput type="datetime-local" step={1} label={t(`time.in.${zone}`, { name: label })} {...others} />
  );
}
