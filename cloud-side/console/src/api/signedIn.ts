/**
 * Who is signed in to this tab, and how. With a name and a password the browser holds a cookie that no script can
 * read. A token lives in memory and in sessionStorage, so that a reload keeps it and closing the tab forgets it;
 * it is never put where another tab, another site or the disk's profile would find it.
 */
import { useSyncExternalStore } from 'react';
import type { Session } from './types';

export type SignedIn =
  /** Nobody knows yet: the server is being asked whether the browser's cookie, or the tab's token, is good. */
  | { way: 'asking'; token: string | null }
  | { way: 'out'; why: 'expired' | null; first: FirstPage }
  | { way: 'token'; token: string; session: Session }
  | { way: 'name'; session: Session };

/** What comes first where nobody is signed in: an installation without an administrator wants its first. */
export type FirstPage = 'sign-in' | 'setup';

const PLACE = 'bcdr.token';

let signedIn: SignedIn = begin();
const listeners = new Set<() => void>();

function begin(): SignedIn {
  try {
    return { way: 'asking', token: sessionStorage.getItem(PLACE) };
  } catch {
    // Storage may be forbidden: then nothing was kept.
    return { way: 'asking', token: null };
  }
}

function set(next: SignedIn) {
  signedIn = next;
  try {
    if (next.way === 'token') sessionStorage.setItem(PLACE, next.token);
    else sessionStorage.removeItem(PLACE);
  } catch {
    // The token then lasts until the page is left.
  }
  for (const listener of listeners) listener();
}

export function current(): SignedIn {
  return signedIn;
}

export function signInWithToken(token: string, session: Session) {
  set({ way: 'token', token, session });
}

export function signInWithName(session: Session) {
  set({ way: 'name', session });
}

/** The token that the tab kept is no good. */
export function forgetToken() {
  set({ way: 'asking', token: null });
}

/** The server said that nobody is signed in, and what comes first. */
export function nobody(first: FirstPage, why: 'expired' | null = null) {
  set({ way: 'out', why, first });
}

export function signOut(why: 'expired' | null = null) {
  set({ way: 'out', why, first: 'sign-in' });
}

/** An answer said that who asked is not signed in: that is about this tab only if nothing changed since. */
export function refused(asker: SignedIn) {
  if (asker === signedIn && (asker.way === 'token' || asker.way === 'name')) signOut('expired');
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSignedIn(): SignedIn {
  return useSyncExternalStore(subscribe, () => signedIn);
}

/** Who is signed in. Pages are shown to nobody else. */
export function useSession(): Session {
  const now = useSignedIn();
  if (now.way !== 'token' && now.way !== 'name') throw new Error('a page is shown and nobody is signed in');
  return now.session;
}
