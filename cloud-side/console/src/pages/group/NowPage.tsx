/** A group in one look: is it protected, since when, what can be had back, would it boot, where is production. */
import { Link } from 'react-router';
import type { Group } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { HealthReasons, ReplicationBadge } from '../../parts/Health';
import { Id } from '../../parts/Id';
import { Age, Instant } from '../../parts/Instant';
import { toGroup } from '../../parts/paths';
import { Rpo } from '../../parts/Rpo';
import { Served } from '../../parts/Served';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { useStale } from '../../parts/staleness';
import { answer } from '../../states/answer';
import { useWords } from '../../words/words';
import { AlertsPanel } from './AlertsPanel';
import { useGroup } from './GroupFrame';
import { LinkPanel } from './LinkPanel';
import { PositionsPanel } from './PositionsPanel';
import { RecentPanel } from './RecentPanel';
import { VolumesPanel } from './VolumesPanel';

export function NowPage() {
  const { group } = useGroup();
  return (
    <>
      <AnswerPanel group={group} />
      <AlertsPanel group={group} />
      <RecentPanel group={group} />
      <div className="columns">
        <PositionsPanel group={group} />
        <LinkPanel group={group} />
      </div>
      <VolumesPanel group={group} />
    </>
  );
}

function AnswerPanel({ group }: { group: Group }) {
  const { t, state } = useWords();
  const stale = useStale();
  const said = answer(group);
  const { progress, reason, since } = group.replication;
  const point = group.latest_point;
  return (
    <section className="answer" data-tone={stale ? 'unknown' : said.tone}>
      <p className="answer-line">{t(stale ? 'answer.stale' : `answer.${said.code}`)}</p>
      <div className="answer-grid">
        <div>
          <h2>{t('answer.replication')}</h2>
          <ReplicationBadge group={group} />
          {reason && (
            <p>
              <Served>{reason}</Served>
            </p>
          )}
          {progress && (
            <div>
              <progress value={progress.done_bytes} max={Math.max(1, progress.total_bytes)} />
              <div className="quiet small">
                <Bytes value={progress.done_bytes} /> / <Bytes value={progress.total_bytes} />
              </div>
            </div>
          )}
          <p className="quiet small">
            {since ? (
              <>
                {t('answer.since')} <Instant at={since} age />
              </>
            ) : group.capture.connected && group.capture.since ? (
              <>
                {t('answer.connected')} <Instant at={group.capture.since} age />
              </>
            ) : null}
          </p>
        </div>
        <div>
          <h2>{t('answer.back')}</h2>
          <p className="big">
            <Rpo group={group} />
          </p>
          <p className="quiet small">{t('answer.rpo')}</p>
          {point ? (
            <p className="small">
              {t('answer.latest')} <Instant at={point.time} />
              {point.label && <span className="label-mark">{point.label}</span>}
              <br />
              <span className="quiet">
                {t('answer.covers')} <Instant at={point.covers_until} />
              </span>
              <br />
              <Link to={toGroup(group.name, 'points')}>{t('answer.points')}</Link>
            </p>
          ) : (
            <p>{t('answer.no_point')}</p>
          )}
        </div>
        <div>
          <h2>{t('answer.boot')}</h2>
          <p>
            <StateBadge kind="readiness" value={group.readiness.state} />
          </p>
          <p className="quiet small">
            {group.readiness.checked_at ? (
              <>
                {t('answer.inspected')} <Instant at={group.readiness.checked_at} age />
              </>
            ) : (
              t('answer.not_inspected')
            )}
          </p>
          <p className="small">
            {group.drill.last_passed_at ? (
              <>
                {t('answer.proven')} <Age at={group.drill.last_passed_at} />
              </>
            ) : (
              t('answer.unproven')
            )}
          </p>
          {group.drill.overdue_since && (
            <p className="small">
              <Badge tone="warn">{t('groups.drill.overdue')}</Badge>{' '}
              <Instant at={group.drill.overdue_since} age />
            </p>
          )}
        </div>
        <div>
          <h2>{t('answer.place')}</h2>
          <p>
            {group.placement ? <StateBadge kind="placement" value={group.placement} /> : t('common.unknown')}
          </p>
          <Facts>
            <Fact name={t('place.generation')}>
              <span className="number">{group.generation}</span>
            </Fact>
            <Fact name={t('place.source')}>
              {group.capture.standing
                ? state('serving', group.capture.standing.serving)
                : t('place.source.silent')}
            </Fact>
            <Fact name={t('group.created')}>
              <Instant at={group.created_at} />
            </Fact>
            <Fact name={t('group.id')}>
              <Id value={group.id} />
            </Fact>
          </Facts>
        </div>
      </div>
      <HealthReasons health={group.health} />
    </section>
  );
}
