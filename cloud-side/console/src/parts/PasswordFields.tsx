/** A password that is to be: typed twice, and refused here when the API would refuse it. */
import { PasswordInput } from '@mantine/core';
import { passwordFault } from '../states/access';
import { useWords } from '../words/words';

export interface NewPassword {
  password: string;
  again: string;
}

export const NO_PASSWORD: NewPassword = { password: '', again: '' };

/** Whether both fields are filled with the same good password. */
export function isSet({ password, again }: NewPassword, name: string): boolean {
  return passwordFault(password, name) === null && again === password;
}

interface Props {
  /** Whose it is to be. */
  name: string;
  value: NewPassword;
  onChange: (value: NewPassword) => void;
}

export function PasswordFields({ name, value, onChange }: Props) {
  const { t } = useWords();
  const { password, again } = value;
  const fault = password === '' ? null : passwordFault(password, name);
  return (
    <>
      <PasswordInput
        label={t('password.new')}
        description={t('password.what')}
        value={password}
        onChange={(event) => onChange({ password: event.currentTarget.value, again })}
        error={fault ? t(`password.fault.${fault}`) : undefined}
        autoComplete="new-password"
      />
      <PasswordInput
        label={t('password.again')}
        value={again}
        onChange={(event) => onChange({ password, again: event.currentTarget.value })}
        error={again !== '' && again !== password ? t('password.differs') : undefined}
        autoComplete="new-password"
      />
    </>
  );
}
