/** A drill: how far it is, how far the machine came, what proves it, and that nothing is left. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { drill as drillQuery } from '../../api/queries';
import type { Drill } from '../../api/types';
import { stopwatch } from '../../format/spans';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Ladder } from '../../parts/Ladder';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { toGroup, toJob, toReport } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { StateBadge } from '../../parts/StateBadge';
import { useStale } from '../../parts/staleness';
import { useWords } from '../../words/words';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { CleanupPanel } from './CleanupPanel';
import { EvidencePanel } from './EvidencePanel';
import { Phases } from './Phases';
import { PrecheckPanel } from './PrecheckPanel';

export function DrillPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(drillQuery(id));
  const [stopping, setStopping] = useState(false);
  return (
    <Live query={query}>
      {(drill) => (
        <>
          <PageHead
            title={t('drill.page', { group: drill.group_name })}
            above={{ to: toGroup(drill.group_name, 'drills'), name: drill.group_name }}
            badges={<StateBadge kind="drill" value={drill.state} />}
            actions={
              // A drill that ended has nothing to end.
              drill.finished_at ? null : (
                <ActionButton
                  action={actionOf(drill.allowed_actions, 'stop')}
                  operation="stop_drill"
                  label={t('drill.stop')}
                  look="test"
                  onClick={() => setStopping(true)}
                />
              )
            }
          />
          <Panel
            title={t('drill.now')}
            frame="test"
            side={<span className="frame-word frame-word-test">{t('frame.test')}</span>}
          >
            <Watch drill={drill} />
            {drill.reason && (
              <p className="reason">
                <Served>{drill.reason}</Served>
              </p>
            )}
            <Facts>
              <Fact name={t('drill.point')}>
                <span className="mono">{drill.point.id}</span>{' '}
                {drill.point.label && <span className="label-mark">{drill.point.label}</span>}{' '}
                <Instant at={drill.point.time} />
              </Fact>
              <Fact name={t('drill.requested')}>
                <Instant at={drill.requested_at} />
              </Fact>
              <Fact name={t('drill.finished')}>
                <Instant at={drill.finished_at} />
              </Fact>
              <Fact name={t('drill.job')}>
                <Link to={toJob(drill.job)}>{drill.job}</Link>
              </Fact>
              <Fact name={t('drill.id')}>
                <Id value={drill.id} whole />
              </Fact>
              {drill.evidence.length > 0 && (
                <Fact name={t('drill.report')}>
                  <Link to={toReport(drill.id)}>{t('drill.report.open')}</Link>
                </Fact>
              )}
            </Facts>
          </Panel>
          <div className="columns">
            <Panel title={t('phases.title')}>
              <Phases drill={drill} />
            </Panel>
            <Panel title={t('ladder.title')}>
              <Ladder rungs={drill.report?.rungs ?? drill.progress?.rungs ?? []} />
            </Panel>
          </div>
          <EvidencePanel drill={drill} />
          {drill.report && <CleanupPanel report={drill.report} />}
          {drill.report?.precheck && <PrecheckPanel precheck={drill.report.precheck} />}
          {stopping && (
            <VerbDialogue
              title={t('drill.stop.title')}
              verb={t('drill.stop')}
              lines={[t('drill.stop.machine'), t('drill.stop.production')]}
              send={() =>
                body(api.POST('/api/v1/drills/{id}/actions/stop', { params: { path: { id: drill.id } } }))
              }
              onClose={() => setStopping(false)}
              frame="test"
            />
          )}
        </>
      )}
    </Live>
  );
}

/** The stopwatch: running while the drill runs, and then how long it took. */
function Watch({ drill }: { drill: Drill }) {
  const { t, took } = useWords();
  const now = useNow();
  const stale = useStale();
  const began = Date.parse(drill.requested_at);
  const seconds = ((drill.finished_at ? Date.parse(drill.finished_at) : now) - began) / 1000;
  const rto = drill.report?.recovery_times.login_seconds;
  return (
    <div className="figures">
      <div className="figure" data-tone="plain">
        <div className="figure-value number watch">
          {stale && !drill.finished_at ? '–' : stopwatch(seconds)}
        </div>
        <div className="figure-name">{t(drill.finished_at ? 'drill.took' : 'drill.elapsed')}</div>
      </div>
      <div className="figure" data-tone={rto != null ? 'good' : 'plain'}>
        <div className="figure-value number">{rto != null ? took(rto) : '–'}</div>
        <div className="figure-name">{t('drill.rto')}</div>
      </div>
      {drill.report && (
        <div className="figure" data-tone="plain">
          <div className="figure-value">
            <StateBadge kind="isolation" value={drill.report.isolation.verdict} />
          </div>
          <div className="figure-name">
            {t('drill.isolation', { count: drill.report.isolation.observations })}
          </div>
        </div>
      )}
    </div>
  );
}
