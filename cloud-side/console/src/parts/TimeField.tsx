/** A field for an instant, to the second, which says so when it is typed in UTC. */
import { TextInput, type TextInputProps } from '@mantine/core';
import { useTimes } from './times';

interface Props extends Omit<TextInputProps, 'type' | 'step' | 'label'> {
  label: string;
}

export function TimeField({ label, ...others }: Props) {
  const { zone } = useTimes();
  return (
    <TextInput type="datetime-local" step={1} label={zone === 'utc' ? `${label} (UTC)` : label} {...others} />
  );
}
