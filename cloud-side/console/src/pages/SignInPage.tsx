/** The way in: a token, checked against the API before anything is kept of it. */
import { Button, PasswordInput, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import { tryToken } from '../api/client';
import { signIn, useSession } from '../api/session';
import { Preferences } from '../parts/Preferences';
import { ProblemNotice } from '../parts/ProblemNotice';
import { useWords } from '../words/words';

export function SignInPage() {
  const { t } = useWords();
  const { refusal } = useSession();
  const [token, setToken] = useState('');
  const trying = useMutation({ mutationFn: tryToken, onSuccess: (_, given) => signIn(given) });
  useEffect(() => {
    document.title = `${t('signin.title')} · BCDR Gateway`;
  }, [t]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = token.trim();
    if (given) trying.mutate(given);
  };
  return (
    <main className="signin">
      <div className="signin-card">
        <img src="/favicon.svg" alt="" width={40} height={40} />
        <h1>BCDR Gateway</h1>
        <p className="quiet">{t('signin.what')}</p>
        {refusal === 'expired' && !trying.error && <p role="alert">{t('signin.expired')}</p>}
        <form onSubmit={submit}>
          <Stack gap="md">
            <PasswordInput
              label={t('signin.token')}
              description={t('signin.token.where')}
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              autoComplete="off"
              spellCheck={false}
              data-autofocus
            />
            {trying.error && <ProblemNotice error={trying.error} />}
            <Button type="submit" loading={trying.isPending} disabled={token.trim() === ''}>
              {t('signin.do')}
            </Button>
          </Stack>
        </form>
        <p className="quiet small">{t('signin.kept')}</p>
        <Preferences />
      </div>
    </main>
  );
}
