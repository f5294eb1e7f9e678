/** What all pages of a group have: where production is, what may be done now, and what is on its way. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { NavLink, Outlet, useOutletContext, useParams } from 'react-router';
import { serverNow } from '../../api/hearing';
import { group as groupQuery } from '../../api/queries';
import type { Group } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Direction } from '../../parts/Direction';
import { HealthBadge } from '../../parts/Health';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { toGroup } from '../../parts/paths';
import { StateBadge } from '../../parts/StateBadge';
import { remember } from '../../states/samples';
import { type Key, useWords } from '../../words/words';
import { BookmarkDialogue } from '../dialogues/BookmarkDialogue';
import { DrillDialogue } from '../dialogues/DrillDialogue';
import { FailbackDialogue } from '../dialogues/FailbackDialogue';
import { FailoverDialogue } from '../dialogues/FailoverDialogue';
import { RestoreDialogue } from '../dialogues/RestoreDialogue';
import { ViewDialogue } from '../dialogues/ViewDialogue';
import { OnItsWay } from './OnItsWay';
import { SplitBrainPanel } from './SplitBrainPanel';

const TABS: { page: string; name: Key }[] = [
  { page: '', name: 'group.tab.now' },
  { page: 'timeline', name: 'group.tab.timeline' },
  { page: 'points', name: 'group.tab.points' },
  { page: 'drills', name: 'nav.drills' },
  { page: 'moves', name: 'nav.moves' },
  { page: 'restores', name: 'nav.restores' },
  { page: 'views', name: 'nav.views' },
  { page: 'reports', name: 'nav.reports' },
  { page: 'jobs', name: 'nav.jobs' },
];

export type Wish = 'bookmark' | 'drill' | 'failover' | 'failback' | 'restore' | 'view';

interface Context {
  group: Group;
  /** Opens the dialogue of an action, at a point if one was chosen. */
  ask: (wish: Wish, at?: string) => void;
}

export function useGroup(): Context {
  return useOutletContext<Context>();
}

export function GroupFrame() {
  const { t } = useWords();
  const { group: name = '' } = useParams();
  const query = useQuery(groupQuery(name));
  const [asked, setAsked] = useState<{ wish: Wish; at: string } | null>(null);
  useEffect(() => {
    if (query.data) remember(query.data, serverNow());
  }, [query.data]);
  return (
    <Live query={query}>
      {(group) => {
        const ask = (wish: Wish, at = 'latest') => setAsked({ wish, at });
        const close = () => setAsked(null);
        const action = (verb: string) => actionOf(group.allowed_actions, verb);
        return (
          <>
            <PageHead
              title={group.name}
              above={{ to: '/groups', name: t('nav.groups') }}
              badges={
                <>
                  <Direction placement={group.placement} />
                  {group.placement && <StateBadge kind="placement" value={group.placement} />}
                  <HealthBadge group={group} />
                </>
              }
              actions={
                <>
                  <ActionButton
                    action={action('create_point')}
                    operation="create_point"
                    label={t('bookmark.do')}
                    onClick={() => ask('bookmark')}
                  />
                  <ActionButton
                    action={action('open_view')}
                    operation="open_view"
                    label={t('view.do')}
                    onClick={() => ask('view')}
                  />
                  <ActionButton
                    action={action('start_drill')}
                    operation="start_drill"
                    label={t('drill.do')}
                    look="main"
                    onClick={() => ask('drill')}
                  />
                  <ActionButton
                    action={action('restore_start')}
                    operation="start_restore"
                    label={t('restore.do')}
                    look="live"
                    onClick={() => ask('restore')}
                  />
                  {group.placement === 'target_active' ? (
                    <ActionButton
                      action={action('failback_start')}
                      operation="start_failback"
                      label={t('failback.do')}
                      look="live"
                      onClick={() => ask('failback')}
                    />
                  ) : (
                    <ActionButton
                      action={action('failover_start')}
                      operation="start_failover"
                      label={t('failover.do')}
                      look="live"
                      onClick={() => ask('failover')}
                    />
                  )}
                </>
              }
            />
            <SplitBrainPanel group={group} />
            <OnItsWay group={group} />
            <nav className="tabs" aria-label={group.name}>
              {TABS.map(({ page, name: tab }) => (
                <NavLink
                  key={page}
                  to={toGroup(name, page)}
                  end
                  className={({ isActive }) => (isActive ? 'tab is-here' : 'tab')}
                >
                  {t(tab)}
                </NavLink>
              ))}
            </nav>
            <Outlet context={{ group, ask } satisfies Context} />
            {asked?.wish === 'bookmark' && <BookmarkDialogue group={group} onClose={close} />}
            {asked?.wish === 'drill' && <DrillDialogue group={group} at={asked.at} onClose={close} />}
            {asked?.wish === 'view' && <ViewDialogue group={group.name} at={asked.at} onClose={close} />}
            {asked?.wish === 'failover' && <FailoverDialogue group={group} at={asked.at} onClose={close} />}
            {asked?.wish === 'restore' && <RestoreDialogue group={group} at={asked.at} onClose={close} />}
            {asked?.wish === 'failback' && <FailbackDialogue group={group} onClose={close} />}
          </>
        );
      }}
    </Live>
  );
}
