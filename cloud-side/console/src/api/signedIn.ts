/**
 * Who is signed in to this tab, and how. With a name and a password the browser holds a cookie that no script can
 * read. A token lives in memory and in sessionStorage, so that a reload keeps it and closing the tab forgets it;
 * it is never put where another tab, another site or the disk's profile would find it.
 */
import { useSyncExternalStore } from 'react';
import type { Session } from './session';

export type SignedIn =
  /** Nobody knows yet: the server is being asked whether the browser's cookie is good. */
  | { way: 'asking' }
  | { way: 'out'; why: 'expired' | null; may: SignInWays }
  | { way: 'token'; token: string }
  | { way: 'name'; session: Session };

/** What the server takes: a server without users takes tokens only, one without an administrator wants its first. */
export type SignInWays = 'names' | 'tokens' | 'setup' | 'unknown';

const PLACE = 'bcdr.token';

let signedIn: SignedIn = begin();
/** What the server took when it was asked last; a session that ends does not change that. */
let ways: SignInWays = 'unknown';
const listeners = new Set<() => void>();

function begin(): SignedIn {
  try {
    const token = sessionStorage.getItem(PLACE);
    if (token !== null) return { way: 'token', token };
  } catch {
    // Storage may be forbidden: then nothing was kept.
  }
  return { way: 'asking' };
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

export function currentToken(): string | null {
  return signedIn.way === 'token' ? signedIn.token : null;
}

export function signInWithToken(token: string) {
  set({ way: 'token', token });
}

export function signInWithName(session: Session) {
  ways = 'names';
  set({ way: 'name', session });
}

/** The server said that nobody is signed in, and how one can. */
export function nobody(may: SignInWays) {
  ways = may;
  set({ way: 'out', why: null, may });
}

export function signOut(why: 'expired' | null = null) {
  set({ way: 'out', why, may: ways });
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
