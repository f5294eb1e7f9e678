/** A restore in place: what can be used of the volumes now, how far it is, and the way back. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { api, body } from '../../api/client';
import { placement as placementQuery, restore as restoreQuery } from '../../api/queries';
import type { Restore } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { LossFigures } from '../../parts/LossFigures';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { toGroup, toJob, toRestore } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Steps } from '../../parts/Steps';
import { restoreSteps, shareDone, volumesAre } from '../../states/restore';
import { useWords } from '../../words/words';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { FailureNotice } from '../move/FailureNotice';
import { SplitNotice } from '../move/SplitNotice';

type Verb = 'undo' | 'cancel' | 'retry';

const VOLUME_TONES = {
  as_before: 'plain',
  no_writes: 'warn',
  not_served: 'bad',
  served: 'good',
  unknown: 'unknown',
} as const;

function send(verb: Verb, id: string, confirm: string, key: string): Promise<Restore> {
  const path = { id };
  switch (verb) {
    case 'undo':
      return body(
        api.POST('/api/v1/restores/{id}/actions/undo', {
          params: { path, header: { 'Idempotency-Key': key } },
          body: { confirm },
        }),
      );
    case 'cancel':
      return body(api.POST('/api/v1/restores/{id}/actions/cancel', { params: { path } }));
    case 'retry':
      return body(api.POST('/api/v1/restores/{id}/actions/retry', { params: { path } }));
  }
}

export function RestorePage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const { id = '' } = useParams();
  const query = useQuery(restoreQuery(id));
  const [verb, setVerb] = useState<Verb | null>(null);
  return (
    <Live query={query}>
      {(restore) => {
        const action = (name: Verb) => actionOf(restore.allowed_actions, name);
        const lines: Record<Verb, string[]> = {
          undo: [t('restore.undo.production'), t('restore.undo.lost'), t('restore.undo.machine')],
          cancel: [t('restore.cancel.production'), t('restore.cancel.disks')],
          retry: [t('restore.retry.production')],
        };
        return (
          <>
            <PageHead
              title={t(restore.undoes ? 'restore.page.undo' : 'restore.page', { group: restore.group_name })}
              above={{ to: toGroup(restore.group_name, 'restores'), name: restore.group_name }}
              badges={
                <>
                  {restore.end ? (
                    <StateBadge kind="restoreEnd" value={restore.end} />
                  ) : (
                    <StateBadge kind="stage" value={restore.stage} />
                  )}
                  {restore.turned_back && !restore.end && <Badge tone="busy">{t('moves.turned')}</Badge>}
                  {restore.set_aside && <Badge tone="warn">{t('restore.set_aside')}</Badge>}
                </>
              }
              actions={
                <>
                  {restore.stage === 'blocked' && (
                    <ActionButton
                      action={action('retry')}
                      operation="retry_restore"
                      label={t('verb.retry')}
                      look="main"
                      onClick={() => setVerb('retry')}
                    />
                  )}
                  {!restore.end && (
                    <ActionButton
                      action={action('cancel')}
                      operation="cancel_restore"
                      label={t('verb.cancel')}
                      look="live"
                      onClick={() => setVerb('cancel')}
                    />
                  )}
                  <ActionButton
                    action={action('undo')}
                    operation="undo_restore"
                    label={t('verb.undo')}
                    look="live"
                    onClick={() => setVerb('undo')}
                  />
                </>
              }
            />
            {!restore.end && <SplitNotice group={restore.group_name} />}
            <Panel
              title={restore.end ? t('moves.ended') : t(`step.${restore.step}`)}
              frame={restore.end ? undefined : 'live'}
              side={
                restore.end ? null : <span className="frame-word frame-word-live">{t('frame.live')}</span>
              }
            >
              {!restore.end && <p>{t(`step.${restore.step}.what`)}</p>}
              {restore.set_aside && <p>{t('restore.set_aside.what')}</p>}
              <Volumes restore={restore} />
              {!restore.end && <Progress restore={restore} />}
              {restore.failure && !restore.end && (
                <FailureNotice
                  failure={restore.failure}
                  how={restore.stage === 'blocked' ? 'blocked' : 'last'}
                />
              )}
              {restore.failure && restore.end === 'failed' && (
                <FailureNotice failure={restore.failure} how="ended" />
              )}
              {restore.loss && (
                <>
                  <h3>{t('restore.loss')}</h3>
                  <LossFigures loss={restore.loss} undoable />
                </>
              )}
              <About restore={restore} />
            </Panel>
            <Panel title={t('steps.title')}>
              <Steps steps={restoreSteps(restore)} stage={restore.stage} />
            </Panel>
            {verb && (
              <VerbDialogue
                title={t(`restore.${verb}.title`, { group: restore.group_name })}
                verb={t(`verb.${verb}`)}
                lines={lines[verb]}
                confirm={verb === 'undo' ? restore.group_name : undefined}
                why={t('confirm.why.restore')}
                keyed={verb === 'undo'}
                send={async (confirm, key) => {
                  const answer = await send(verb, restore.id, confirm, key);
                  if (answer.id !== restore.id) navigate(toRestore(answer.id));
                }}
                onClose={() => setVerb(null)}
              />
            )}
          </>
        );
      }}
    </Live>
  );
}

/** What somebody who shut a machine down waits to hear. */
function Volumes({ restore }: { restore: Restore }) {
  const { t } = useWords();
  const { data: placement } = useQuery(placementQuery(restore.group_name));
  const now = volumesAre(restore);
  // A restore that is over says nothing of what happened to its volumes since.
  const since = placement?.state !== 'source_active' || placement.source?.serving !== 'writable';
  if (restore.end && (since || placement.job)) return null;
  return (
    <p className="countdown">
      <Badge tone={VOLUME_TONES[now]}>{t(`restore.volumes.${now}`)}</Badge>{' '}
      <span className="quiet">{t(`restore.volumes.${now}.what`)}</span>
    </p>
  );
}

function Progress({ restore }: { restore: Restore }) {
  const { t } = useWords();
  const share = shareDone(restore.progress);
  if (share === null || !restore.progress) return null;
  return (
    <div className="progress-note">
      <progress value={share} max={1} aria-label={t('restore.progress')} />
      <div className="quiet small number">
        {Math.floor(share * 100)} % · <Bytes value={restore.progress.done_bytes} /> /{' '}
        <Bytes value={restore.progress.total_bytes} /> {t('restore.progress.what')}
      </div>
    </div>
  );
}

function About({ restore }: { restore: Restore }) {
  const { t, took } = useWords();
  const seconds = restore.finished_at
    ? (Date.parse(restore.finished_at) - Date.parse(restore.requested_at)) / 1000
    : null;
  const none = <span className="quiet">{t('common.none')}</span>;
  return (
    <Facts>
      <Fact name={t('restore.point')}>
        {restore.point ? (
          <>
            <Id value={restore.point} /> <Instant at={restore.point_time} />
          </>
        ) : (
          none
        )}
      </Fact>
      <Fact name={t('restore.undo_point')}>
        {restore.undo_label ? (
          <>
            <span className="label-mark">{restore.undo_label}</span> <Instant at={restore.undo_time} />
          </>
        ) : (
          none
        )}
      </Fact>
      {restore.undoes && (
        <Fact name={t('restore.undoes')}>
          <Link to={toRestore(restore.undoes)}>{restore.undoes}</Link>
        </Fact>
      )}
      <Fact name={t('restore.fetched')}>
        <Bytes value={restore.fetched_bytes} />
      </Fact>
      <Fact name={t('restore.written')}>
        <Bytes value={restore.written_bytes} />
      </Fact>
      <Fact name={t('moves.requested')}>
        <Instant at={restore.requested_at} age />
      </Fact>
      <Fact name={t('moves.operator')}>{restore.operator}</Fact>
      <Fact name={t('moves.finished')}>
        <Instant at={restore.finished_at} />
        {seconds !== null && <span className="quiet"> · {took(seconds)}</span>}
      </Fact>
      <Fact name={t('place.generation')}>
        <span className="number">{restore.generation ?? none}</span>
      </Fact>
      <Fact name={t('drill.job')}>
        <Link to={toJob(restore.job)}>{restore.job}</Link>
      </Fact>
      <Fact name={t('moves.id')}>
        <Id value={restore.id} whole />
      </Fact>
    </Facts>
  );
}
