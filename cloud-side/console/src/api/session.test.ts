import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Session } from './types';

/** A server as the contract has it, in a few lines: one user, one cookie. */
class Server {
  asked: Request[] = [];
  signedIn = false;
  setUp = true;
  answer: (request: Request) => Response | null = () => null;

  readonly fetch = async (request: Request): Promise<Response> => {
    this.asked.push(request);
    const special = this.answer(request);
    if (special) return special;
    const path = new URL(request.url).pathname;
    if (request.method !== 'GET' && request.headers.get('X-BCDR-Request') !== '1')
      return problem(403, 'not_from_here');
    if (path === '/api/v1/session' && request.method === 'POST') {
      const { name, password } = await request.json();
      if (name !== 'alice' || password !== 'secret') return problem(401, 'wrong_password');
      this.signedIn = true;
      return Response.json(session);
    }
    if (path === '/api/v1/setup') {
      if (request.method === 'GET') return Response.json({ required: !this.setUp });
      this.setUp = true;
      return Response.json({}, { status: 201 });
    }
    const token = request.headers.get('Authorization');
    if (token === 'Bearer bcdr_good' && path === '/api/v1/session') return Response.json(ofToken);
    if (token !== null && token !== 'Bearer bcdr_good') return problem(401, 'token_invalid');
    if (!this.signedIn && token === null) return problem(401, 'session_ended');
    if (path === '/api/v1/session/password') {
      const { current } = await request.json();
      return current === 'secret' ? Response.json(renewed) : problem(401, 'wrong_password');
    }
    if (path === '/api/v1/session' && request.method === 'DELETE') {
      this.signedIn = false;
      return new Response(null, { status: 204 });
    }
    return Response.json(path === '/api/v1/session' ? session : { items: [] });
  };
}

const session: Session = {
  kind: 'user',
  id: 'usr-1',
  name: 'alice',
  role: 'operator',
  expires_at: 'x',
  idle_until: 'y',
  allowed_actions: ['own', 'read', 'drill'],
};
const renewed: Session = { ...session, expires_at: 'z' };
const ofToken: Session = {
  kind: 'token',
  id: 'tok-1',
  name: 'monitoring',
  role: 'viewer',
  allowed_actions: ['own', 'read'],
};

function problem(status: number, code: string): Response {
  return Response.json({ type: 'urn:x', title: code, status, code, detail: code }, { status });
}

let server: Server;
let store: Record<string, string>;

/** The modules as a page that is just opened has them. */
async function opened() {
  vi.resetModules();
  return {
    ...(await import('./session')),
    ...(await import('./signedIn')),
    ...(await import('./client')),
  };
}

beforeEach(() => {
  server = new Server();
  store = {};
  vi.stubGlobal('location', { origin: 'https://console.test' });
  vi.stubGlobal('fetch', server.fetch);
  vi.stubGlobal('sessionStorage', {
    getItem: (name: string) => store[name] ?? null,
    setItem: (name: string, value: string) => {
      store[name] = value;
    },
    removeItem: (name: string) => {
      delete store[name];
    },
  });
});

afterEach(() => vi.unstubAllGlobals());

describe('a page that is opened', () => {
  it('goes on with the session that the cookie is of', async () => {
    server.signedIn = true;
    const page = await opened();
    expect(page.current()).toEqual({ way: 'asking', token: null });
    await page.resume();
    expect(page.current()).toEqual({ way: 'name', session });
  });

  it('asks for a name where there is none', async () => {
    const page = await opened();
    await page.resume();
    expect(page.current()).toEqual({ way: 'out', why: null, first: 'sign-in' });
  });

  it('asks for the first administrator where there is none yet', async () => {
    server.setUp = false;
    const page = await opened();
    await page.resume();
    expect(page.current()).toEqual({ way: 'out', why: null, first: 'setup' });
  });

  it('does not take silence for an answer', async () => {
    server.answer = () => {
      throw new TypeError('no route to host');
    };
    const page = await opened();
    await expect(page.resume()).rejects.toMatchObject({ kind: 'unheard' });
    expect(page.current()).toEqual({ way: 'asking', token: null });
  });

  it('knows nobody when only the first question was answered', async () => {
    server.answer = ({ url }) => (url.endsWith('/setup') ? problem(503, 'catalog_unavailable') : null);
    const page = await opened();
    await expect(page.resume()).rejects.toMatchObject({ code: 'catalog_unavailable' });
    expect(page.current()).toEqual({ way: 'asking', token: null });
  });

  it('goes on with a token that the tab kept, and learns what it allows', async () => {
    store['bcdr.token'] = 'bcdr_good';
    const page = await opened();
    expect(page.current()).toEqual({ way: 'asking', token: 'bcdr_good' });
    await page.resume();
    expect(page.current()).toEqual({ way: 'token', token: 'bcdr_good', session: ofToken });
    expect(store).toEqual({ 'bcdr.token': 'bcdr_good' });
  });

  it('forgets a token that is no good, and asks nothing more with it', async () => {
    store['bcdr.token'] = 'bcdr_old';
    const page = await opened();
    await page.resume();
    expect(page.current()).toEqual({ way: 'out', why: 'expired', first: 'sign-in' });
    expect(store).toEqual({});
    expect(server.asked.map((request) => request.headers.get('Authorization'))).toEqual([
      'Bearer bcdr_old',
      null,
    ]);
  });
});

describe('a session', () => {
  it('is had with name and password, and keeps nothing that a script could read', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    expect(page.current()).toEqual({ way: 'name', session });
    expect(store).toEqual({});
    await page.body(page.api.GET('/api/v1/groups'));
    const last = server.asked.at(-1);
    expect(last?.headers.has('Authorization')).toBe(false);
    expect(last?.headers.has('X-BCDR-Request')).toBe(false);
  });

  it('is not had with another password', async () => {
    const page = await opened();
    await page.resume();
    await expect(page.signIn('alice', 'guess')).rejects.toMatchObject({ code: 'wrong_password' });
    expect(page.current()).toMatchObject({ way: 'out', why: null });
  });

  it('that ended leads to the sign-in page, whatever was asked', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    server.signedIn = false;
    await expect(page.body(page.api.GET('/api/v1/groups'))).rejects.toMatchObject({ status: 401 });
    expect(page.current()).toEqual({ way: 'out', why: 'expired', first: 'sign-in' });
  });

  it('is ended at the server when one leaves, and stays when that is not heard', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    server.answer = ({ method }) => (method === 'DELETE' ? problem(503, 'stopping') : null);
    await expect(page.leave()).rejects.toMatchObject({ code: 'stopping' });
    expect(page.current()).toMatchObject({ way: 'name' });
    server.answer = () => null;
    await page.leave();
    expect(server.signedIn).toBe(false);
    expect(page.current()).toMatchObject({ way: 'out', why: null });
  });

  it('goes on under another cookie when its password is changed', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    await page.changePassword('secret', 'another secret');
    expect(page.current()).toEqual({ way: 'name', session: renewed });
  });

  it('does not end because the old password was mistyped', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    await expect(page.changePassword('guess', 'another secret')).rejects.toMatchObject({
      code: 'wrong_password',
    });
    expect(page.current()).toMatchObject({ way: 'name' });
  });

  it('follows the first use', async () => {
    const page = await opened();
    await page.setUp('once', 'alice', 'secret');
    expect(server.asked.map(({ method, url }) => `${method} ${new URL(url).pathname}`)).toEqual([
      'POST /api/v1/setup',
      'POST /api/v1/session',
    ]);
    expect(page.current()).toMatchObject({ way: 'name' });
  });
});

describe('a token', () => {
  it('goes with each request and is kept in this tab', async () => {
    const page = await opened();
    await page.tryToken('bcdr_good');
    expect(page.current()).toMatchObject({ way: 'token', session: ofToken });
    await page.body(page.api.GET('/api/v1/groups'));
    expect(server.asked.at(-1)?.headers.get('Authorization')).toBe('Bearer bcdr_good');
    expect(store).toEqual({ 'bcdr.token': 'bcdr_good' });
  });

  it('that is tried and refused signs nobody out', async () => {
    const page = await opened();
    await page.signIn('alice', 'secret');
    server.signedIn = false;
    await expect(page.tryToken('bcdr_bad')).rejects.toMatchObject({ status: 401 });
    expect(page.current()).toMatchObject({ way: 'name' });
  });

  it('that expired is forgotten', async () => {
    const page = await opened();
    await page.tryToken('bcdr_good');
    server.answer = () => problem(401, 'token_expired');
    await expect(page.body(page.api.GET('/api/v1/groups'))).rejects.toMatchObject({ status: 401 });
    expect(page.current()).toMatchObject({ way: 'out', why: 'expired' });
    expect(store).toEqual({});
  });
});

it('each request that changes something carries the header that no other site can send', async () => {
  const page = await opened();
  await page.signIn('alice', 'secret');
  await page.body(page.api.DELETE('/api/v1/views/{id}', { params: { path: { id: 'x' } } }));
  const changing = server.asked.filter(({ method }) => method !== 'GET');
  expect(changing).toHaveLength(2);
  for (const request of changing) expect(request.headers.get('X-BCDR-Request')).toBe('1');
});
