/** A failover: where it is, what it cost, what may be done now, and when something happens by itself. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { failover as failoverQuery } from '../../api/queries';
import type { Failover } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Countdown } from '../../parts/Countdown';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Ladder } from '../../parts/Ladder';
import { Live } from '../../parts/Live';
import { LossFigures } from '../../parts/LossFigures';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { PolicyWords } from '../../parts/PolicyField';
import { toGroup, toJob } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Steps } from '../../parts/Steps';
import { failoverSteps } from '../../states/steps';
import { useWords } from '../../words/words';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { FailureNotice } from './FailureNotice';
import { SplitNotice } from './SplitNotice';

type Verb = 'commit' | 'rollback' | 'cancel' | 'retry';

/** The verbs that the API wants confirmed by the group's name. */
const CONFIRMED: ReadonlySet<Verb> = new Set(['commit', 'rollback']);

function send(verb: Verb, id: string, confirm: string): Promise<unknown> {
  const params = { path: { id } };
  switch (verb) {
    case 'commit':
      return body(api.POST('/api/v1/failovers/{id}/actions/commit', { params, body: { confirm } }));
    case 'rollback':
      return body(api.POST('/api/v1/failovers/{id}/actions/rollback', { params, body: { confirm } }));
    case 'cancel':
      return body(api.POST('/api/v1/failovers/{id}/actions/cancel', { params }));
    case 'retry':
      return body(api.POST('/api/v1/failovers/{id}/actions/retry', { params }));
  }
}

export function FailoverPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(failoverQuery(id));
  const [verb, setVerb] = useState<Verb | null>(null);
  return (
    <Live query={query}>
      {(failover) => {
        const action = (name: Verb) => actionOf(failover.allowed_actions, name);
        return (
          <>
            <PageHead
              title={t('failover.page', { group: failover.group_name })}
              above={{ to: toGroup(failover.group_name, 'moves'), name: failover.group_name }}
              badges={
                <>
                  {failover.end ? (
                    <StateBadge kind="failoverEnd" value={failover.end} />
                  ) : (
                    <StateBadge kind="stage" value={failover.stage} />
                  )}
                  {failover.turned_back && <Badge tone="busy">{t('moves.turned')}</Badge>}
                </>
              }
              actions={
                failover.end ? null : (
                  <>
                    {failover.stage === 'blocked' && (
                      <ActionButton
                        action={action('retry')}
                        operation="retry_failover"
                        label={t('verb.retry')}
                        look="main"
                        onClick={() => setVerb('retry')}
                      />
                    )}
                    <ActionButton
                      action={action('cancel')}
                      operation="cancel_failover"
                      label={t('verb.cancel')}
                      onClick={() => setVerb('cancel')}
                    />
                    <ActionButton
                      action={action('rollback')}
                      operation="rollback_failover"
                      label={t('verb.rollback')}
                      look="live"
                      onClick={() => setVerb('rollback')}
                    />
                    <ActionButton
                      action={action('commit')}
                      operation="commit_failover"
                      label={t('verb.commit')}
                      look="live"
                      onClick={() => setVerb('commit')}
                    />
                  </>
                )
              }
            />
            {!failover.end && <SplitNotice group={failover.group_name} />}
            <Panel
              title={failover.end ? t('moves.ended') : t(`step.${failover.step}`)}
              frame={failover.end ? undefined : 'live'}
              side={
                failover.end ? null : <span className="frame-word frame-word-live">{t('frame.live')}</span>
              }
            >
              {!failover.end && <p>{t(`step.${failover.step}.what`)}</p>}
              {failover.decides_in_seconds != null && failover.commit_policy !== 'manual' && (
                <p className="countdown">
                  {t('auto_commit' in failover.commit_policy ? 'countdown.commit' : 'countdown.rollback')}{' '}
                  <Countdown seconds={failover.decides_in_seconds} toldAt={query.dataUpdatedAt} />
                </p>
              )}
              {failover.failure && !failover.end && (
                <FailureNotice
                  failure={failover.failure}
                  how={failover.stage === 'blocked' ? 'blocked' : 'last'}
                />
              )}
              {failover.failure && failover.end === 'failed' && (
                <FailureNotice failure={failover.failure} how="ended" />
              )}
              {failover.mode === 'planned'
                ? !failover.end && <p>{t('failover.preview.planned')}</p>
                : failover.point && failover.loss && <LossFigures loss={failover.loss} />}
              <About failover={failover} />
            </Panel>
            <Panel title={t('steps.title')}>
              <Steps steps={failoverSteps(failover)} stage={failover.stage} />
            </Panel>
            <Panel title={t('ladder.title')}>
              {failover.ladder && (
                <p>
                  <Badge tone={failover.ladder.passed ? 'good' : 'bad'}>
                    {t(failover.ladder.passed ? 'ladder.passed' : 'ladder.failed')}
                  </Badge>{' '}
                  <Served>{failover.ladder.detail}</Served>
                </p>
              )}
              <Ladder rungs={failover.ladder?.rungs ?? []} />
            </Panel>
            {verb && (
              <VerbDialogue
                title={t(`failover.${verb}.title`, { group: failover.group_name })}
                verb={t(`verb.${verb}`)}
                lines={lines(verb, t)}
                confirm={CONFIRMED.has(verb) ? failover.group_name : undefined}
                send={(confirm) => send(verb, failover.id, confirm)}
                onClose={() => setVerb(null)}
              />
            )}
          </>
        );
      }}
    </Live>
  );
}

function lines(verb: Verb, t: ReturnType<typeof useWords>['t']): string[] {
  switch (verb) {
    case 'commit':
      return [t('failover.commit.production'), t('failover.commit.lost'), t('failover.commit.final')];
    case 'rollback':
      return [t('failover.rollback.production'), t('failover.rollback.lost'), t('failover.rollback.source')];
    case 'cancel':
      return [t('failover.cancel.production')];
    case 'retry':
      return [t('failover.retry.production')];
  }
}

function About({ failover }: { failover: Failover }) {
  const { t, took } = useWords();
  const seconds = failover.finished_at
    ? (Date.parse(failover.finished_at) - Date.parse(failover.requested_at)) / 1000
    : null;
  const none = <span className="quiet">{t('common.none')}</span>;
  return (
    <Facts>
      <Fact name={t('moves.mode')}>{t(`mode.${failover.mode}`)}</Fact>
      <Fact name={t('moves.requested')}>
        <Instant at={failover.requested_at} age />
      </Fact>
      <Fact name={t('moves.operator')}>{failover.operator}</Fact>
      <Fact name={t('failover.interrupted')}>
        <Instant at={failover.interrupted_at} />
      </Fact>
      <Fact name={t('failover.boots')}>
        {failover.point ? (
          <>
            <Id value={failover.point} /> <Instant at={failover.point_time} />
          </>
        ) : (
          none
        )}
      </Fact>
      <Fact name={t('place.generation')}>
        <span className="number">{failover.generation ?? none}</span>
      </Fact>
      <Fact name={t('place.instance')}>{failover.instance ? <Id value={failover.instance} /> : none}</Fact>
      <Fact name={t('place.branch')}>{failover.branch ? <Id value={failover.branch} /> : none}</Fact>
      <Fact name={t('policy.title')}>
        <PolicyWords policy={failover.commit_policy} />
      </Fact>
      <Fact name={t('moves.finished')}>
        <Instant at={failover.finished_at} />
        {seconds !== null && <span className="quiet"> · {took(seconds)}</span>}
      </Fact>
      <Fact name={t('drill.job')}>
        <Link to={toJob(failover.job)}>{failover.job}</Link>
      </Fact>
      <Fact name={t('moves.id')}>
        <Id value={failover.id} whole />
      </Fact>
    </Facts>
  );
}
