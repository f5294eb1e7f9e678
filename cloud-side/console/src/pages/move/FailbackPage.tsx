/** A failback: where it is, the disks at home, how far they follow, and what may be done now. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { failback as failbackQuery } from '../../api/queries';
import type { Failback } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Bytes } from '../../parts/Bytes';
import { Countdown } from '../../parts/Countdown';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { PolicyWords } from '../../parts/PolicyField';
import { toGroup, toJob } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Steps } from '../../parts/Steps';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { failbackSteps } from '../../states/steps';
import { useWords } from '../../words/words';
import { ConfirmDisksDialogue } from '../dialogues/ConfirmDisksDialogue';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { FailureNotice } from './FailureNotice';
import { SplitNotice } from './SplitNotice';

type Verb = 'cutover' | 'commit' | 'rollback' | 'cancel' | 'retry';

const CONFIRMED: ReadonlySet<Verb> = new Set(['cutover', 'commit', 'rollback']);

function send(verb: Verb, id: string, confirm: string): Promise<unknown> {
  const params = { path: { id } };
  switch (verb) {
    case 'cutover':
      return body(api.POST('/api/v1/failbacks/{id}/actions/cutover', { params, body: { confirm } }));
    case 'commit':
      return body(api.POST('/api/v1/failbacks/{id}/actions/commit', { params, body: { confirm } }));
    case 'rollback':
      return body(api.POST('/api/v1/failbacks/{id}/actions/rollback', { params, body: { confirm } }));
    case 'cancel':
      return body(api.POST('/api/v1/failbacks/{id}/actions/cancel', { params }));
    case 'retry':
      return body(api.POST('/api/v1/failbacks/{id}/actions/retry', { params }));
  }
}

export function FailbackPage() {
  const { t } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(failbackQuery(id));
  const [verb, setVerb] = useState<Verb | 'confirm_disks' | null>(null);
  return (
    <Live query={query}>
      {(failback) => {
        const action = (name: Verb | 'confirm_disks') => actionOf(failback.allowed_actions, name);
        return (
          <>
            <PageHead
              title={t('failback.page', { group: failback.group_name })}
              above={{ to: toGroup(failback.group_name, 'moves'), name: failback.group_name }}
              badges={
                <>
                  {failback.end ? (
                    <StateBadge kind="failbackEnd" value={failback.end} />
                  ) : (
                    <StateBadge kind="stage" value={failback.stage} />
                  )}
                  {failback.turned_back && <Badge tone="busy">{t('moves.turned')}</Badge>}
                </>
              }
              actions={
                failback.end ? null : (
                  <>
                    {failback.stage === 'blocked' && (
                      <ActionButton
                        action={action('retry')}
                        operation="retry_failback"
                        label={t('verb.retry')}
                        look="main"
                        onClick={() => setVerb('retry')}
                      />
                    )}
                    <ActionButton
                      action={action('cancel')}
                      operation="cancel_failback"
                      label={t('verb.cancel')}
                      onClick={() => setVerb('cancel')}
                    />
                    {failback.step === 'inspect_home' || failback.step === 'await_seed' ? (
                      <ActionButton
                        action={action('confirm_disks')}
                        operation="confirm_failback_disks"
                        label={t('disks.do')}
                        look="live"
                        onClick={() => setVerb('confirm_disks')}
                      />
                    ) : (
                      <ActionButton
                        action={action('cutover')}
                        operation="cut_over_failback"
                        label={t('verb.cutover')}
                        look="live"
                        onClick={() => setVerb('cutover')}
                      />
                    )}
                    <ActionButton
                      action={action('rollback')}
                      operation="rollback_failback"
                      label={t('verb.rollback')}
                      look="live"
                      onClick={() => setVerb('rollback')}
                    />
                    <ActionButton
                      action={action('commit')}
                      operation="commit_failback"
                      label={t('verb.commit')}
                      look="live"
                      onClick={() => setVerb('commit')}
                    />
                  </>
                )
              }
            />
            {!failback.end && <SplitNotice group={failback.group_name} />}
            <Panel
              title={failback.end ? t('moves.ended') : t(`step.${failback.step}`)}
              frame={failback.end ? undefined : 'live'}
              side={
                failback.end ? null : <span className="frame-word frame-word-live">{t('frame.live')}</span>
              }
            >
              {!failback.end && <p>{t(`step.${failback.step}.what`)}</p>}
              {failback.continues_in_seconds != null && (
                <p className="countdown">
                  {t(countdownOf(failback))}{' '}
                  <Countdown seconds={failback.continues_in_seconds} toldAt={query.dataUpdatedAt} />
                </p>
              )}
              {failback.failure && (!failback.end || failback.end === 'failed') && (
                <FailureNotice
                  failure={failback.failure}
                  how={failback.end ? 'ended' : failback.stage === 'blocked' ? 'blocked' : 'last'}
                />
              )}
              <div className="figures">
                <div className="figure" data-tone="plain">
                  <div className="figure-value">
                    <Bytes value={failback.sent_bytes} />
                  </div>
                  <div className="figure-name">{t('failback.sent')}</div>
                </div>
                <div className="figure" data-tone="plain">
                  <div className="figure-value">
                    <Bytes value={failback.remaining_bytes} />
                  </div>
                  <div className="figure-name">{t('failback.remaining')}</div>
                </div>
                <div className="figure" data-tone="plain">
                  <div className="figure-value">
                    <Badge tone={failback.seeded ? 'good' : 'plain'}>
                      {t(failback.seeded ? 'failback.seeded' : 'failback.not_seeded')}
                    </Badge>
                  </div>
                  <div className="figure-name">{t('failback.seeded.name')}</div>
                </div>
                <div className="figure" data-tone="plain">
                  <div className="figure-value">
                    <Badge tone={failback.proven_equal ? 'good' : 'plain'}>
                      {t(failback.proven_equal ? 'failback.equal' : 'failback.not_equal')}
                    </Badge>
                  </div>
                  <div className="figure-name">{t('failback.equal.name')}</div>
                </div>
              </div>
              <About failback={failback} />
            </Panel>
            {failback.disks.length > 0 && <Disks failback={failback} />}
            <Panel title={t('steps.title')}>
              <Steps steps={failbackSteps(failback)} stage={failback.stage} />
            </Panel>
            {verb === 'confirm_disks' && (
              <ConfirmDisksDialogue failback={failback} onClose={() => setVerb(null)} />
            )}
            {verb && verb !== 'confirm_disks' && (
              <VerbDialogue
                title={t(`failback.${verb}.title`, { group: failback.group_name })}
                verb={t(`verb.${verb}`)}
                lines={lines(verb, t)}
                confirm={CONFIRMED.has(verb) ? failback.group_name : undefined}
                send={(confirm) => send(verb, failback.id, confirm)}
                onClose={() => setVerb(null)}
              />
            )}
          </>
        );
      }}
    </Live>
  );
}

function countdownOf({ step, commit_policy }: Failback) {
  if (step !== 'await_commit' || commit_policy === 'manual') return 'countdown.round';
  return 'auto_commit' in commit_policy ? 'countdown.commit' : 'countdown.rollback';
}

function lines(verb: Verb, t: ReturnType<typeof useWords>['t']): string[] {
  switch (verb) {
    case 'cutover':
      return [t('failback.cutover.production'), t('failback.cutover.lost'), t('failback.cutover.back')];
    case 'commit':
      return [t('failback.commit.production'), t('failback.commit.lost'), t('failback.commit.final')];
    case 'rollback':
      return [t('failback.rollback.production'), t('failback.rollback.lost')];
    case 'cancel':
      return [t('failback.cancel.production'), t('failback.cancel.disks')];
    case 'retry':
      return [t('failback.retry.production')];
  }
}

function Disks({ failback }: { failback: Failback }) {
  const { t } = useWords();
  return (
    <Panel title={t('disks.title')}>
      <Table
        caption={t('disks.title')}
        columns={[
          { name: t('disks.volume') },
          { name: t('disks.serial') },
          { name: t('disks.size'), number: true },
          { name: t('disks.blank') },
          { name: t('disks.confirmed') },
        ]}
      >
        {failback.disks.map((disk) => (
          <Row key={disk.volume}>
            <Cell>{disk.volume_name ?? disk.volume}</Cell>
            <Cell className="mono">{disk.serial}</Cell>
            <NumberCell>
              <Bytes value={disk.size_bytes} />
            </NumberCell>
            <Cell>{t(disk.blank ? 'common.yes' : 'common.no')}</Cell>
            <Cell>
              <Badge tone={disk.confirmed ? 'warn' : 'plain'}>
                {t(disk.confirmed ? 'disks.overwritten' : 'disks.untouched')}
              </Badge>
            </Cell>
          </Row>
        ))}
      </Table>
    </Panel>
  );
}

function About({ failback }: { failback: Failback }) {
  const { t } = useWords();
  const none = <span className="quiet">{t('common.none')}</span>;
  return (
    <Facts>
      <Fact name={t('failback.seed')}>{t(`seed.${failback.seed}`)}</Fact>
      <Fact name={t('failback.method')}>{failback.method ? t(`method.${failback.method}`) : none}</Fact>
      <Fact name={t('moves.requested')}>
        <Instant at={failback.requested_at} age />
      </Fact>
      <Fact name={t('moves.operator')}>{failback.operator}</Fact>
      <Fact name={t('failback.fork')}>
        <Id value={failback.fork} />
      </Fact>
      <Fact name={t('place.generation')}>
        <span className="number">{failback.generation ?? none}</span>
      </Fact>
      <Fact name={t('place.branch')}>
        <Id value={failback.branch} />
      </Fact>
      <Fact name={t('failback.left_behind')}>
        {failback.left_behind ? <Id value={failback.left_behind} /> : none}
      </Fact>
      <Fact name={t('failback.home_writes')}>
        {failback.home_writes ? <Id value={failback.home_writes} /> : none}
      </Fact>
      <Fact name={t('policy.title')}>
        <PolicyWords policy={failback.commit_policy} />
      </Fact>
      <Fact name={t('moves.finished')}>
        <Instant at={failback.finished_at} />
      </Fact>
      <Fact name={t('drill.job')}>
        <Link to={toJob(failback.job)}>{failback.job}</Link>
      </Fact>
      <Fact name={t('moves.id')}>
        <Id value={failback.id} whole />
      </Fact>
    </Facts>
  );
}
