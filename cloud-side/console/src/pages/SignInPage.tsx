/** The way in: a name and a password, or a token that is checked against the API before anything is kept of it. */
import { Button, Loader, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { resume, signIn, tryToken } from '../api/session';
import type { FirstPage } from '../api/signedIn';
import { Preferences } from '../parts/Preferences';
import { ProblemNotice } from '../parts/ProblemNotice';
import { useFirstFocus } from '../parts/useFirstFocus';
import { useWords } from '../words/words';
import { SetupForm } from './SetupForm';

/** What the pages have that are there before somebody is signed in. */
export function SignInCard({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useWords();
  useEffect(() => {
    document.title = `${title} · BCDR Gateway`;
  }, [title]);
  return (
    <main className="signin">
      <div className="signin-card">
        <img src="/favicon.svg" alt="" width={40} height={40} />
        <h1>BCDR Gateway</h1>
        <p className="quiet">{t('signin.what')}</p>
        {children}
        <Preferences />
      </div>
    </main>
  );
}

/** Before anybody knows whether the browser's cookie is good. */
export function AskingPage() {
  const { t } = useWords();
  const asking = useQuery({
    queryKey: ['resume'],
    queryFn: async () => {
      await resume();
      return null;
    },
    // Who reloads a page while the server is being restarted should be back by himself.
    refetchInterval: 3000,
    throwOnError: false,
  });
  return (
    <SignInCard title={t('signin.title')}>
      {asking.error ? (
        <>
          <ProblemNotice error={asking.error} />
          <p className="quiet small">{t('signin.asking.again')}</p>
        </>
      ) : (
        <p role="status">
          <Loader size="xs" /> {t('signin.asking')}
        </p>
      )}
    </SignInCard>
  );
}

interface Props {
  why: 'expired' | null;
  first: FirstPage;
}

export function SignInPage({ why, first }: Props) {
  const { t } = useWords();
  const [byToken, setByToken] = useState(false);
  const client = useQueryClient();
  // Who signs in next may not be allowed to see what the last one saw.
  useEffect(() => client.clear(), [client]);
  const settingUp = first === 'setup' && !byToken;
  return (
    <SignInCard title={t(settingUp ? 'setup.title' : 'signin.title')}>
      {why === 'expired' && <p role="alert">{t('signin.expired')}</p>}
      {byToken ? <TokenForm /> : settingUp ? <SetupForm /> : <NameForm />}
      <Button
        size="compact-sm"
        variant="subtle"
        className="signin-other"
        onClick={() => setByToken(!byToken)}
      >
        {t(!byToken ? 'signin.by_token' : first === 'setup' ? 'setup.title' : 'signin.by_name')}
      </Button>
    </SignInCard>
  );
}

function NameForm() {
  const { t } = useWords();
  const first = useFirstFocus();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const trying = useMutation({ mutationFn: () => signIn(name.trim(), password) });
  const ready = name.trim() !== '' && password !== '';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) trying.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <TextInput
          label={t('signin.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          autoComplete="username"
          spellCheck={false}
          ref={first}
        />
        <PasswordInput
          label={t('signin.password')}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          autoComplete="current-password"
        />
        {trying.error && <ProblemNotice error={trying.error} />}
        <Button type="submit" loading={trying.isPending} disabled={!ready}>
          {t('signin.do')}
        </Button>
      </Stack>
    </form>
  );
}

function TokenForm() {
  const { t } = useWords();
  const first = useFirstFocus();
  const [token, setToken] = useState('');
  const trying = useMutation({ mutationFn: tryToken });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const given = token.trim();
    if (given) trying.mutate(given);
  };
  return (
    <>
      <form onSubmit={submit}>
        <Stack gap="md">
          <PasswordInput
            label={t('signin.token')}
            description={t('signin.token.where')}
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            ref={first}
          />
          {trying.error && <ProblemNotice error={trying.error} />}
          <Button type="submit" loading={trying.isPending} disabled={token.trim() === ''}>
            {t('signin.do')}
          </Button>
        </Stack>
      </form>
      <p className="quiet small">{t('signin.kept')}</p>
    </>
  );
}
