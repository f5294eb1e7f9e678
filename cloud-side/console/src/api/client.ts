/**
 * The one way to the API: typed by the checked-in document, as who is signed in to this tab, telling `hearing` about each
 * answer and throwing an `ApiProblem` for everything that is not a success.
 */
import createClient from 'openapi-fetch';
import { heard, notHeard } from './hearing';
import { ApiProblem, isProblem } from './problem';
import type { paths } from './schema';
import { current, refused, type SignedIn } from './signedIn';
import type { Session } from './types';

/** An API that hangs is gone too: what is only read is given up early, what changes something is not. */
const PATIENCE_READING_MS = 8_000;
const PATIENCE_CHANGING_MS = 30_000;
/** Files may be large and the way slow. */
const PATIENCE_FILE_MS = 300_000;

function origin(): string {
  return typeof location === 'undefined' ? '' : location.origin;
}

function tokenOf(asker: SignedIn): string | null {
  return asker.way === 'token' || asker.way === 'asking' ? asker.token : null;
}

async function send(request: Request, asker: SignedIn, patience: number): Promise<Response> {
  const token = tokenOf(asker);
  if (token !== null) request.headers.set('Authorization', `Bearer ${token}`);
  // No other site can make a browser send this header, so a cookie alone changes nothing.
  if (request.method !== 'GET') request.headers.set('X-BCDR-Request', '1');
  let response: Response;
  try {
    response = await fetch(request, {
      cache: 'no-store',
      // A token speaks for itself: a cookie beside it would leave it open who asks.
      credentials: token !== null ? 'omit' : 'same-origin',
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(patience)]),
    });
  } catch (error) {
    // A page that was left takes its requests with it; that says nothing about the API.
    if (!request.signal.aborted) notHeard();
    throw ApiProblem.unheard(error);
  }
  // A proxy answers for an API that is gone; that is not the API's voice.
  if (response.status === 502 || response.status === 504) {
    notHeard();
    throw ApiProblem.unreadable(response.status);
  }
  heard(response.headers.get('date'));
  if (response.ok) return response;
  const problem: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  if (!isProblem(problem)) throw ApiProblem.unreadable(response.status);
  // Who mistypes the password while changing it is signed in all the same.
  if (response.status === 401 && problem.code !== 'wrong_password') refused(asker);
  throw ApiProblem.refused(problem);
}

export const api = createClient<paths>({
  baseUrl: origin(),
  fetch: (request) =>
    send(request, current(), request.method === 'GET' ? PATIENCE_READING_MS : PATIENCE_CHANGING_MS),
});

/** What a request brought. Failures were thrown already, so a body that is absent is an empty answer. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer;
  return data as T;
}

/** The same, where it is normal that there is none: the API says so with this code. */
export async function absent<T>(code: string, answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiProblem && error.problem?.code === code) return null;
    throw error;
  }
}

/** Whose token this is; throws why the API does not take it. */
export async function sessionOf(token: string): Promise<Session> {
  const request = new Request(`${origin()}/api/v1/session`);
  return (await send(request, { way: 'asking', token }, PATIENCE_READING_MS)).json();
}

/** A file of the API, which needs the token's header and so cannot be a plain link. */
export async function file(path: string): Promise<Blob> {
  const response = await send(new Request(`${origin()}/api/v1/${path}`), current(), PATIENCE_FILE_MS);
  return response.blob();
}

/** What the cloud side counts and measures, in the text form of metrics, which is not below `/api`. */
export async function metricsText(signal: AbortSignal): Promise<string> {
  const request = new Request(`${origin()}/metrics`, { signal });
  return (await send(request, current(), PATIENCE_READING_MS)).text();
}

/** A key for one wish of an operator: the same wish sent twice is carried out once. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
