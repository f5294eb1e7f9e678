/** When a group is drilled by itself, and the dialogues to change that. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { schedule as scheduleQuery } from '../../api/queries';
import type { DrillSchedule, Group } from '../../api/types';
import { Fact, Facts } from '../../parts/Facts';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';
import { RemoveScheduleDialogue, ScheduleDialogue } from '../dialogues/ScheduleDialogues';

export function SchedulePanel({ group }: { group: Group }) {
  const { t } = useWords();
  const [asked, setAsked] = useState<'set' | 'remove' | null>(null);
  const query = useQuery(scheduleQuery(group.name));
  const { data } = query;
  return (
    <Panel
      title={t('schedule.title')}
      side={
        <div className="button-row">
          <GuardedButton
            operation="set_drill_schedule"
            label={t(data ? 'schedule.change' : 'schedule.set')}
            size="compact-sm"
            onClick={() => setAsked('set')}
          />
          {data && (
            <GuardedButton
              operation="remove_drill_schedule"
              label={t('schedule.remove')}
              size="compact-sm"
              onClick={() => setAsked('remove')}
            />
          )}
        </div>
      }
    >
      {/* That there is none is asked for rarely, and does not grow old in between. */}
      <Live query={query} polled={data !== null}>
        {(set) => (set ? <Shown set={set} /> : <p className="quiet">{t('schedule.none')}</p>)}
      </Live>
      {asked === 'set' && (
        <ScheduleDialogue group={group} set={data ?? undefined} onClose={() => setAsked(null)} />
      )}
      {asked === 'remove' && <RemoveScheduleDialogue group={group} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

function Shown({ set }: { set: DrillSchedule }) {
  const { t, span } = useWords();
  return (
    <Facts>
      <Fact name={t('schedule.every')}>
        {span(set.every_seconds)}
        {set.at && ` · ${set.at} ${set.zone}`}
      </Fact>
      <Fact name={t('schedule.next')}>
        <Instant at={set.next_at} age />
      </Fact>
      <Fact name={t('schedule.point')}>
        {set.point === 'latest'
          ? t('point.latest')
          : t('schedule.point.age.words', { span: span(set.point.age.seconds) })}
      </Fact>
      <Fact name={t('schedule.since')}>
        <Instant at={set.set_at} />
      </Fact>
      {set.overdue_since && (
        <Fact name={t('groups.drill.overdue')}>
          <Badge tone="warn">{t('groups.drill.overdue')}</Badge> <Instant at={set.overdue_since} age />
        </Fact>
      )}
      {set.trouble && (
        <Fact name={t('schedule.trouble')}>
          <Served>{set.trouble}</Served>
        </Fact>
      )}
    </Facts>
  );
}
