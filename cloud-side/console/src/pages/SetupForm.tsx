/** The first use of an installation: its one-time secret makes the first administrator. Nobody has a default password. */
import { Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { setUp } from '../api/session';
import { isSet, NO_PASSWORD, PasswordFields } from '../parts/PasswordFields';
import { ProblemNotice } from '../parts/ProblemNotice';
import { useFirstFocus } from '../parts/useFirstFocus';
import { isName } from '../states/access';
import { useWords } from '../words/words';

export function SetupForm() {
  const { t } = useWords();
  const first = useFirstFocus();
  const [secret, setSecret] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState(NO_PASSWORD);
  const sending = useMutation({ mutationFn: () => setUp(secret.trim(), name.trim(), password.password) });
  const ready = secret.trim() !== '' && isName(name.trim()) && isSet(password, name.trim());
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) sending.mutate();
  };
  return (
    <>
      <h2>{t('setup.title')}</h2>
      <p>{t('setup.what')}</p>
      <form onSubmit={submit}>
        <Stack gap="md">
          <PasswordInput
            label={t('setup.secret')}
            description={t('setup.secret.where')}
            value={secret}
            onChange={(event) => setSecret(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            ref={first}
          />
          <TextInput
            label={t('signin.name')}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={name.trim() !== '' && !isName(name.trim()) ? t('users.name.wrong') : undefined}
            autoComplete="username"
            spellCheck={false}
          />
          <PasswordFields name={name.trim()} value={password} onChange={setPassword} />
          {sending.error && <ProblemNotice error={sending.error} />}
          <Button type="submit" loading={sending.isPending} disabled={!ready}>
            {t('setup.do')}
          </Button>
        </Stack>
      </form>
    </>
  );
}
