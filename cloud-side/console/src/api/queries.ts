/** What pages read, and how often. Each is named by its path, so that an action can have the right ones read again. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  type QueryClient,
  queryOptions,
} from '@tanstack/react-query';
import { type AlertFilter, asked } from '../states/alerts';
import type { AuditFilter } from '../states/audit';
import { absent, api, body, file, metricsText } from './client';
import type { AlertSeverity, PlanMode, PointKind } from './types';

/** Something is happening: look closely. */
export const QUICK = 1000;
/** What an operator watches. */
export const STEADY = 2000;
/** What changes by somebody's doing. */
export const SLOW = 4000;
/** What is not there, and what only grows by the hour. */
export const RARELY = 60_000;

export const PAGE_SIZE = 50;
/** Each drill of a list carries its whole report: fewer, and less often. */
export const DRILL_PAGE_SIZE = 20;

type Cursor = string | undefined;

export const system = () =>
  queryOptions({
    queryKey: ['system'],
    queryFn: ({ signal }) => body(api.GET('/api/v1/system', { signal })),
    refetchInterval: SLOW,
  });

export const metrics = () =>
  queryOptions({
    queryKey: ['metrics'],
    queryFn: ({ signal }) => metricsText(signal),
    staleTime: RARELY,
    refetchInterval: RARELY,
  });

export const groups = () =>
  queryOptions({
    queryKey: ['groups'],
    // All of them: the overview sorts by what is worst, which no single page could.
    queryFn: async ({ signal }) => {
      const all = [];
      let cursor: Cursor;
      do {
        const page = await body(
          api.GET('/api/v1/groups', { params: { query: { limit: 1000, cursor } }, signal }),
        );
        all.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return all;
    },
    refetchInterval: STEADY,
  });

export const group = (name: string) =>
  queryOptions({
    queryKey: ['groups', name],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/groups/{group}', { params: { path: { group: name } }, signal })),
    refetchInterval: STEADY,
  });

export const placement = (name: string) =>
  queryOptions({
    queryKey: ['groups', name, 'placement'],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/groups/{group}/placement', { params: { path: { group: name } }, signal })),
    refetchInterval: STEADY,
  });

export const points = (name: string, kind: PointKind | undefined, cursor: Cursor) =>
  queryOptions({
    queryKey: ['groups', name, 'points', kind ?? null, cursor ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/points', {
          params: { path: { group: name }, query: { kind, cursor, limit: PAGE_SIZE } },
          signal,
        }),
      ),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

/** Points by the thousand, for what shows a long time at once. Read once: what is new is in `points`. */
export const allPoints = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['groups', name, 'all-points'],
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/points', {
          params: { path: { group: name }, query: { cursor: pageParam, limit: 1000 } },
          signal,
        }),
      ),
    initialPageParam: undefined as Cursor,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    // Comparing each of very many points with what it was takes longer than reading it.
    structuralSharing: false,
  });

/** How old the newest point was, hour by hour over the last day: it grows by the hour. */
export const samples = (name: string) =>
  queryOptions({
    queryKey: ['groups', name, 'samples'],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/groups/{group}/samples', { params: { path: { group: name } }, signal })),
    staleTime: RARELY,
    refetchInterval: RARELY,
  });

export const nearest = (name: string, at: string) =>
  queryOptions({
    queryKey: ['groups', name, 'nearest', at],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/points:nearest', {
          params: { path: { group: name }, query: { at } },
          signal,
        }),
      ),
    retry: false,
  });

export const pointReadiness = (name: string, point: string) =>
  queryOptions({
    queryKey: ['groups', name, 'points', point, 'readiness'],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/points/{point}/readiness', {
          params: { path: { group: name, point } },
          signal,
        }),
      ),
    refetchInterval: SLOW,
    retry: false,
  });

export const preview = (name: string, at: string, interruptedAt: string | undefined) =>
  queryOptions({
    queryKey: ['groups', name, 'preview', at, interruptedAt ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/failover-preview', {
          params: { path: { group: name }, query: { at, interrupted_at: interruptedAt } },
          signal,
        }),
      ),
    refetchInterval: STEADY,
    retry: false,
    placeholderData: keepPreviousData,
  });

/** Null for a group that has none, which is no fault. */
export const schedule = (name: string) =>
  queryOptions({
    queryKey: ['groups', name, 'schedule'],
    queryFn: ({ signal }) =>
      absent(
        'drill_schedule_not_found',
        body(api.GET('/api/v1/groups/{group}/drill-schedule', { params: { path: { group: name } }, signal })),
      ),
    refetchInterval: ({ state }) => (state.data === null ? RARELY : SLOW),
    retry: false,
  });

export const volumes = (name: string) =>
  queryOptions({
    queryKey: ['groups', name, 'volumes'],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/volumes', { params: { query: { group: name, limit: 1000 } }, signal })),
    refetchInterval: STEADY,
  });

export const drills = (name: string | undefined, cursor: Cursor, limit = DRILL_PAGE_SIZE) =>
  queryOptions({
    queryKey: ['drills', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/drills', { params: { query: { group: name, cursor, limit } }, signal })),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

export const drill = (id: string) =>
  queryOptions({
    queryKey: ['drills', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/drills/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.finished_at ? SLOW : QUICK),
  });

export const failovers = (name: string | undefined, cursor: Cursor, limit = PAGE_SIZE) =>
  queryOptions({
    queryKey: ['failovers', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/failovers', { params: { query: { group: name, cursor, limit } }, signal })),
    refetchInterval: STEADY,
    placeholderData: keepPreviousData,
  });

export const failover = (id: string) =>
  queryOptions({
    queryKey: ['failovers', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/failovers/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.finished_at ? SLOW : QUICK),
  });

export const failbacks = (name: string | undefined, cursor: Cursor, limit = PAGE_SIZE) =>
  queryOptions({
    queryKey: ['failbacks', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/failbacks', { params: { query: { group: name, cursor, limit } }, signal })),
    refetchInterval: STEADY,
    placeholderData: keepPreviousData,
  });

export const failback = (id: string) =>
  queryOptions({
    queryKey: ['failbacks', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/failbacks/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.finished_at ? SLOW : QUICK),
  });

export const restores = (name: string | undefined, cursor: Cursor, limit = PAGE_SIZE) =>
  queryOptions({
    queryKey: ['restores', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/restores', { params: { query: { group: name, cursor, limit } }, signal })),
    refetchInterval: STEADY,
    placeholderData: keepPreviousData,
  });

export const restore = (id: string) =>
  queryOptions({
    queryKey: ['restores', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/restores/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.finished_at ? SLOW : QUICK),
  });

export const restorePreview = (name: string, at: string) =>
  queryOptions({
    queryKey: ['groups', name, 'restore-preview', at],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/groups/{group}/restore-preview', {
          params: { path: { group: name }, query: { at } },
          signal,
        }),
      ),
    refetchInterval: STEADY,
    retry: false,
    placeholderData: keepPreviousData,
  });

export const branches = (name: string | undefined, cursor: Cursor) =>
  queryOptions({
    queryKey: ['branches', 'list', name ?? null, cursor ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/branches', { params: { query: { group: name, cursor, limit: PAGE_SIZE } }, signal }),
      ),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

export const plans = (cursor: Cursor) =>
  queryOptions({
    queryKey: ['plans', 'list', cursor ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/plans', { params: { query: { cursor, limit: PAGE_SIZE } }, signal })),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

export const plan = (name: string) =>
  queryOptions({
    queryKey: ['plans', name],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/plans/{plan}', { params: { path: { plan: name } }, signal })),
    refetchInterval: SLOW,
  });

export const planCheck = (name: string, mode: PlanMode, at: string | undefined) =>
  queryOptions({
    queryKey: ['plans', name, 'check', mode, at ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/plans/{plan}/check', {
          params: { path: { plan: name }, query: { mode, at } },
          signal,
        }),
      ),
    refetchInterval: SLOW,
    retry: false,
    placeholderData: keepPreviousData,
  });

export const planForecast = (name: string, mode: PlanMode, priority?: number, only?: string[]) =>
  queryOptions({
    queryKey: ['plans', name, 'forecast', mode, priority ?? null, only ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/plans/{plan}/forecast', {
          params: {
            path: { plan: name },
            query: { mode, priority, only: only?.length ? only.join(',') : undefined },
          },
          signal,
        }),
      ),
    refetchInterval: SLOW,
    retry: false,
    placeholderData: keepPreviousData,
  });

export const planRuns = (name: string | undefined, cursor: Cursor, limit = PAGE_SIZE) =>
  queryOptions({
    queryKey: ['plan-runs', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/plan-runs', { params: { query: { plan: name, cursor, limit } }, signal })),
    refetchInterval: STEADY,
    placeholderData: keepPreviousData,
  });

export const planRun = (id: string) =>
  queryOptions({
    queryKey: ['plan-runs', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/plan-runs/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.ended_at ? SLOW : QUICK),
  });

export const jobs = (name: string | undefined, cursor: Cursor) =>
  queryOptions({
    queryKey: ['jobs', 'list', name ?? null, cursor ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/jobs', { params: { query: { group: name, cursor, limit: PAGE_SIZE } }, signal })),
    refetchInterval: STEADY,
    placeholderData: keepPreviousData,
  });

export const job = (id: string) =>
  queryOptions({
    queryKey: ['jobs', id],
    queryFn: ({ signal }) => body(api.GET('/api/v1/jobs/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => (state.data?.finished_at ? false : QUICK),
  });

export const alerts = (filter: AlertFilter, severity: AlertSeverity | undefined, cursor: Cursor) =>
  queryOptions({
    queryKey: ['alerts', 'list', filter, severity ?? null, cursor ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/alerts', {
          params: {
            query: {
              state: asked(filter),
              severity,
              cursor,
              // The muted are picked from the active, so there have to be many to pick from.
              limit: filter === 'muted' ? 1000 : PAGE_SIZE,
            },
          },
          signal,
        }),
      ),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

/** What nobody took on, as far as it is counted beside the pages. */
export const raisedAlerts = () =>
  queryOptions({
    queryKey: ['alerts', 'raised'],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/alerts', { params: { query: { state: 'raised', limit: 100 } }, signal })),
    refetchInterval: SLOW,
  });

/** All that is wrong now, as far as one page of it reaches. */
export const activeAlerts = () =>
  queryOptions({
    queryKey: ['alerts', 'active'],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/alerts', { params: { query: { state: 'active', limit: 1000 } }, signal })),
    refetchInterval: SLOW,
  });

/** What is wrong with a group or a volume of it now; one code is raised once for each, so that these are few. */
export const alertsAbout = (group: string) =>
  queryOptions({
    queryKey: ['alerts', 'about', group],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/alerts', {
          params: { query: { state: 'active', object: group, limit: 1000 } },
          signal,
        }),
      ),
    refetchInterval: SLOW,
  });

export const alert = (id: string) =>
  queryOptions({
    queryKey: ['alerts', id],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/alerts/{alert}', { params: { path: { alert: id } }, signal })),
    refetchInterval: SLOW,
  });

export const alertChannels = () =>
  queryOptions({
    queryKey: ['alert-channels'],
    queryFn: ({ signal }) => body(api.GET('/api/v1/alert-channels', { signal })),
    refetchInterval: SLOW,
  });

export const views = (name: string | undefined, cursor: Cursor) =>
  queryOptions({
    queryKey: ['views', 'list', name ?? null, cursor ?? null],
    queryFn: ({ signal }) =>
      body(
        api.GET('/api/v1/views', { params: { query: { group: name, cursor, limit: PAGE_SIZE } }, signal }),
      ),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

export const reports = (name: string | undefined, cursor: Cursor, limit = PAGE_SIZE) =>
  queryOptions({
    queryKey: ['reports', 'list', name ?? null, cursor ?? null, limit],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/reports', { params: { query: { group: name, cursor, limit } }, signal })),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

/** Recovery times and points over the drills of a group, or of all. */
export const trend = (name: string | undefined) =>
  queryOptions({
    queryKey: ['reports', 'trend', name ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/reports/trend', { params: { query: { group: name, limit: 100 } }, signal })),
    refetchInterval: SLOW,
    retry: false,
  });

/** The signed document as the server sends it: its text is what the signature is checked against. */
export const reportText = (id: string) =>
  queryOptions({
    queryKey: ['reports', id, 'text'],
    queryFn: async () => (await file(`reports/${encodeURIComponent(id)}`)).text(),
    // A signed report never changes.
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export const reportKey = () =>
  queryOptions({
    queryKey: ['reports', 'key'],
    queryFn: ({ signal }) => body(api.GET('/api/v1/reports/key', { signal })),
    refetchInterval: SLOW,
  });

/** An evidence file, which is written once. */
export const evidence = (drillId: string, name: string) =>
  queryOptions({
    queryKey: ['drills', drillId, 'evidence', name],
    queryFn: () => file(`drills/${encodeURIComponent(drillId)}/evidence/${encodeURIComponent(name)}`),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });

export const users = (cursor: Cursor) =>
  queryOptions({
    queryKey: ['users', cursor ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/users', { params: { query: { cursor, limit: PAGE_SIZE } }, signal })),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

export const tokens = (cursor: Cursor) =>
  queryOptions({
    queryKey: ['tokens', cursor ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/tokens', { params: { query: { cursor, limit: PAGE_SIZE } }, signal })),
    refetchInterval: SLOW,
    placeholderData: keepPreviousData,
  });

/** Reading the log is entered in it: this is read when somebody asks for it, and not again by itself. */
const ONCE = {
  staleTime: Number.POSITIVE_INFINITY,
  refetchOnWindowFocus: false,
  refetchOnReconnect: false,
} as const;

export const auditLog = (filter: AuditFilter, cursor: Cursor) =>
  queryOptions({
    queryKey: ['audit', 'list', filter, cursor ?? null],
    queryFn: ({ signal }) =>
      body(api.GET('/api/v1/audit', { params: { query: { ...filter, cursor, limit: PAGE_SIZE } }, signal })),
    ...ONCE,
    // Whoever comes back to the page wants what was written since.
    gcTime: 0,
    placeholderData: keepPreviousData,
  });

export const auditHead = () =>
  queryOptions({
    queryKey: ['audit', 'head'],
    queryFn: ({ signal }) => body(api.GET('/api/v1/audit/head', { signal })),
    ...ONCE,
    gcTime: 0,
  });

/** Has everything read again that an action may have changed. */
export function readAgain(client: QueryClient) {
  return client.invalidateQueries({
    predicate: ({ queryKey }) =>
      queryKey[0] !== 'audit' &&
      queryKey[2] !== 'evidence' &&
      queryKey[2] !== 'text' &&
      queryKey[2] !== 'all-points',
  });
}
