/** The first use of an installation: its one-time secret makes the first administrator. Nobody has a default password. */
import { Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { setUp } from '../api/session';
import { ProblemNotice } from '../parts/ProblemNotice';
import { useWords } from '../words/words';

export function SetupForm() {
  const { t } = useWords();
  const [secret, setSecret] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const sending = useMutation({ mutationFn: () => setUp(secret.trim(), name.trim(), password) });
  const differs = again !== '' && again !== password;
  const ready = secret.trim() !== '' && name.trim() !== '' && password !== '' && again === password;
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
            data-autofocus
          />
          <TextInput
            label={t('signin.name')}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            autoComplete="username"
            spellCheck={false}
          />
          <PasswordInput
            label={t('signin.password')}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            autoComplete="new-password"
          />
          <PasswordInput
            label={t('setup.again')}
            value={again}
            onChange={(event) => setAgain(event.currentTarget.value)}
            error={differs ? t('setup.differs') : undefined}
            autoComplete="new-password"
          />
          {sending.error && <ProblemNotice error={sending.error} />}
          <Button type="submit" loading={sending.isPending} disabled={!ready}>
            {t('setup.do')}
          </Button>
        </Stack>
      </form>
    </>
  );
}
