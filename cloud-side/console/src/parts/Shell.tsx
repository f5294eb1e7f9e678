/** What is around every page: where one can go, and how old what is shown is. */
import { Button, VisuallyHidden } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { NavLink, Outlet, useLocation } from 'react-router';
import type { Operation } from '../api/access';
import { currentHearing, serverNow } from '../api/hearing';
import { groups, raisedAlerts } from '../api/queries';
import { leave, session } from '../api/session';
import { signOut, useSession, useSignedIn } from '../api/signedIn';
import { waiting } from '../states/alerts';
import { lackFor } from '../states/permission';
import { forgetSamples, remember } from '../states/samples';
import { type Key, useWords } from '../words/words';
import { Clock } from './Clock';
import { Freshness, SilenceBanner } from './Freshness';
import { useNow } from './now';
import { Preferences } from './Preferences';
import { ProblemNotice } from './ProblemNotice';
import { staleSince } from './staleness';

/** What a role may not see at all is not offered; its address says why. */
const PLACES: { to: string; name: Key; needs?: Operation }[] = [
  { to: '/', name: 'nav.overview' },
  { to: '/groups', name: 'nav.groups' },
  { to: '/alerts', name: 'nav.alerts' },
  { to: '/plans', name: 'nav.plans' },
  { to: '/drills', name: 'nav.drills' },
  { to: '/moves', name: 'nav.moves' },
  { to: '/restores', name: 'nav.restores' },
  { to: '/reports', name: 'nav.reports' },
  { to: '/views', name: 'nav.views' },
  { to: '/jobs', name: 'nav.jobs' },
  { to: '/infrastructure', name: 'nav.infrastructure' },
  { to: '/access', name: 'nav.access' },
  { to: '/audit', name: 'nav.audit', needs: 'list_audit' },
  { to: '/settings', name: 'nav.settings' },
];

const UNDER: Record<string, string> = {
  '/failovers': '/moves',
  '/failbacks': '/moves',
  '/plan-runs': '/plans',
  '/new-plan': '/plans',
};

export function Shell() {
  const { t } = useWords();
  const client = useQueryClient();
  const { pathname } = useLocation();
  const all = useQuery(groups());
  useEffect(() => {
    // Samples are kept wherever one is, so that a group's plots begin with what was seen from other pages.
    for (const group of all.data ?? []) remember(group, serverNow());
  }, [all.data]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page begins at its top
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [pathname]);
  const top = `/${pathname.split('/')[1] ?? ''}`;
  const here = UNDER[top] ?? top;
  const signedIn = useSignedIn();
  const own = useSession();
  const places = PLACES.filter(({ needs }) => needs === undefined || lackFor(own, needs) === null);
  const leaving = useMutation({
    mutationFn: async () => (signedIn.way === 'name' ? leave() : signOut()),
    onSuccess: () => {
      client.clear();
      forgetSamples();
    },
  });
  return (
    <div className="shell">
      <a className="skip" href="#page">
        {t('shell.skip')}
      </a>
      <nav className="rail" aria-label={t('shell.nav')}>
        <div className="brand">
          <img src="/favicon.svg" alt="" width={26} height={26} />
          <span>BCDR Gateway</span>
        </div>
        <ul>
          {places.map(({ to, name }) => (
            <li key={to}>
              <NavLink
                to={to}
                className={here === to ? 'rail-link is-here' : 'rail-link'}
                aria-current={here === to ? 'page' : undefined}
              >
                {t(name)}
                {to === '/alerts' && <Waiting />}
              </NavLink>
            </li>
          ))}
        </ul>
      </nav>
      <section className="top" aria-label={t('shell.top')}>
        <Freshness />
        <Clock />
        <div className="top-side">
          <Preferences />
          <Who />
          <Button
            size="compact-sm"
            variant="subtle"
            color="gray"
            loading={leaving.isPending}
            onClick={() => leaving.mutate()}
          >
            {t('shell.leave')}
          </Button>
        </div>
      </section>
      <main id="page" className="page" tabIndex={-1}>
        <SilenceBanner />
        {leaving.error && <ProblemNotice error={leaving.error} />}
        <Outlet />
      </main>
    </div>
  );
}

/** How many alerts nobody took on. Nothing is shown of an answer that is old: no number would be wrong too. */
function Waiting() {
  const { t } = useWords();
  const now = useNow() - currentHearing().offset;
  const { data, dataUpdatedAt } = useQuery(raisedAlerts());
  if (data === undefined) return null;
  if (staleSince(dataUpdatedAt, now, true) !== null) {
    return (
      <span className="rail-count" data-tone="unknown" title={t('live.was')}>
        ?<VisuallyHidden>{t('live.was')}</VisuallyHidden>
      </span>
    );
  }
  const found = waiting(data);
  if (!found) return null;
  const count = `${found.count}${found.more ? '+' : ''}`;
  return (
    <span className="rail-count number" data-tone={found.worst === 'critical' ? 'bad' : 'warn'}>
      <span aria-hidden="true">{count}</span>
      <VisuallyHidden>{t('nav.alerts.waiting', { count })}</VisuallyHidden>
    </span>
  );
}

/** A session's end is told this long before. */
const ENDS_SOON_MS = 15 * 60_000;

/** Whose session it is, and when it ends if that is soon. */
function Who() {
  const { t, wholeSpan } = useWords();
  const now = useNow();
  const known = useSession();
  // Asked for its refusal: whose session was ended elsewhere should not find out by his next action.
  const { data = known } = useQuery({ queryKey: ['session'], queryFn: session, refetchInterval: 60_000 });
  const left = data.expires_at ? Date.parse(data.expires_at) - now : Number.POSITIVE_INFINITY;
  return (
    <span className="who">
      {data.name} <span className="quiet">{t(`role.${data.role}`)}</span>
      {left < ENDS_SOON_MS && (
        <span role="status" className="number who-ends">
          {t('shell.ends', { span: wholeSpan(Math.max(0, left / 1000)) })}
        </span>
      )}
    </span>
  );
}
