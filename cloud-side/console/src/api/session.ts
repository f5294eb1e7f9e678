/** Signing in and out, with a name and a password or with a token, and the first use of an installation. */
import { api, body, sessionOf } from './client';
import { ApiProblem } from './problem';
import { current, forgetToken, nobody, signInWithName, signInWithToken, signOut } from './signedIn';
import type { Session } from './types';

/** Who is signed in, as the server knows it now. */
export function session(): Promise<Session> {
  return body(api.GET('/api/v1/session'));
}

/** Asks who is signed in, and has the page follow. Only an answer decides: silence is thrown. */
export async function resume(): Promise<void> {
  const asker = current();
  const token = asker.way === 'asking' ? asker.token : null;
  try {
    const found = await session();
    if (token === null) signInWithName(found);
    else signInWithToken(token, found);
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.status !== 401) throw error;
    // What is asked next is not to be asked with a token that is no good.
    if (token !== null) forgetToken();
    const { required } = await body(api.GET('/api/v1/setup'));
    nobody(required ? 'setup' : 'sign-in', token === null ? null : 'expired');
  }
}

export async function signIn(name: string, password: string): Promise<void> {
  signInWithName(await body(api.POST('/api/v1/session', { body: { name, password } })));
}

/** The token is kept only when the server knows it. */
export async function tryToken(token: string): Promise<void> {
  signInWithToken(token, await sessionOf(token));
}

/** Makes the first administrator with the secret that the installation printed once, and signs in. */
export async function setUp(secret: string, name: string, password: string): Promise<void> {
  await body(api.POST('/api/v1/setup', { body: { secret, name, password } }));
  await signIn(name, password);
}

/** Changes the own password. The session goes on under another cookie; all others of the user end. */
export async function changePassword(current: string, password: string): Promise<void> {
  signInWithName(await body(api.PUT('/api/v1/session/password', { body: { current, password } })));
}

/** Ends the session at the server too: a cookie that was only forgotten here would still be good. */
export async function leave(): Promise<void> {
  await body(api.DELETE('/api/v1/session'));
  signOut();
}
