/**
 * Signing in with a name and a password, and the first use of an installation. These routes are not in the
 * document that `schema.ts` is made from, so this file has their forms; nothing else knows them.
 */
import { ask } from './client';
import { ApiProblem } from './problem';
import { nobody, signInWithName, signOut } from './signedIn';

export interface Session {
  name: string;
  role: string;
  /** When it ends whatever is done. */
  expires_at: string;
  /** When it ends if nothing is done. */
  idle_until: string;
  /** What the role may do. */
  actions: string[];
}

const json = (method: string, body: unknown) => ({
  method,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

/** Whose session the browser's cookie is of. */
export async function session(): Promise<Session> {
  return (await ask('session')).json();
}

/** Asks who is signed in, and has the page follow. Only an answer decides: silence is thrown. */
export async function resume(): Promise<void> {
  try {
    signInWithName(await session());
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.kind !== 'refused') throw error;
    if (error.code === 'setup_required') nobody('setup');
    else if (error.status === 401) nobody('names');
    // A server that knows no sessions knows tokens.
    else if (error.status === 404) nobody('tokens');
    else throw error;
  }
}

export async function signIn(name: string, password: string): Promise<void> {
  await ask('session', json('POST', { name, password }));
  signInWithName(await session());
}

/** Makes the first administrator with the secret that the installation printed once, and signs in. */
export async function setUp(secret: string, name: string, password: string): Promise<void> {
  await ask('setup', json('POST', { secret, name, password }));
  await signIn(name, password);
}

/** Ends the session at the server too: a cookie that was only forgotten here would still be good. */
export async function leave(): Promise<void> {
  await ask('session', { method: 'DELETE' });
  signOut();
}
