/**
 * The token of this tab. It lives in memory and in sessionStorage, so that a reload keeps it and closing the
 * tab forgets it; it is never put where another tab, another site or the disk's profile would find it.
 */
import { useSyncExternalStore } from 'react';

const PLACE = 'bcdr.token';

let token: string | null = read();
/** Why the last token was given up, for the sign-in page. */
let refusal: 'expired' | null = null;
const listeners = new Set<() => void>();

function read(): string | null {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null;
  }
}

function keep(value: string | null) {
  try {
    if (value === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, value);
  } catch {
    // Storage may be forbidden: the token then lasts until the page is left.
  }
}

function tell() {
  for (const listener of listeners) listener();
}

export function currentToken(): string | null {
  return token;
}

export function signIn(value: string) {
  token = value;
  refusal = null;
  keep(value);
  tell();
}

export function signOut(why: 'expired' | null = null) {
  token = null;
  refusal = why;
  keep(null);
  tell();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSession() {
  const value = useSyncExternalStore(subscribe, () => token);
  return { signedIn: value !== null, refusal };
}
