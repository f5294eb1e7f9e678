/** An alert: what it means, what to do, what happened to it, and how it was told. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams } from 'react-router';
import { api, body } from '../../api/client';
import { alert as alertQuery } from '../../api/queries';
import type { AlertDelivery, AlertDetail, AlertEntry } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Empty } from '../../parts/Empty';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { PageHead } from '../../parts/PageHead';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { toldTo } from '../../states/alerts';
import { useWords } from '../../words/words';
import { AcknowledgeDialogue, MuteDialogue } from '../dialogues/AlertDialogues';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { AlertObject, AlertStanding } from './AlertStanding';

type Verb = 'acknowledge' | 'mute' | 'unmute';

export function AlertPage() {
  const { t, known } = useWords();
  const { id = '' } = useParams();
  const query = useQuery(alertQuery(id));
  const [verb, setVerb] = useState<Verb | null>(null);
  const close = () => setVerb(null);
  return (
    <Live query={query}>
      {(alert) => (
        <>
          <PageHead
            title={`${known('alertCode', alert.code) ?? alert.code} · ${alert.object.name}`}
            above={{ to: '/alerts', name: t('nav.alerts') }}
            badges={
              <>
                <StateBadge kind="severity" value={alert.severity} />
                <AlertStanding alert={alert} />
              </>
            }
            actions={
              // What is cleared has nothing to be done about it.
              alert.state === 'cleared' ? null : (
                <>
                  {alert.muted && (
                    <ActionButton
                      action={actionOf(alert.allowed_actions, 'unmute')}
                      operation="unmute_alert"
                      label={t('alert.unmute')}
                      onClick={() => setVerb('unmute')}
                    />
                  )}
                  <ActionButton
                    action={actionOf(alert.allowed_actions, 'mute')}
                    operation="mute_alert"
                    label={t('alert.mute')}
                    onClick={() => setVerb('mute')}
                  />
                  <ActionButton
                    action={actionOf(alert.allowed_actions, 'acknowledge')}
                    operation="acknowledge_alert"
                    label={t('alert.acknowledge')}
                    look="main"
                    onClick={() => setVerb('acknowledge')}
                  />
                </>
              )
            }
          />
          <Meaning alert={alert} />
          <History alert={alert} />
          <Deliveries deliveries={alert.deliveries} />
          {verb === 'acknowledge' && <AcknowledgeDialogue alert={alert} onClose={close} />}
          {verb === 'mute' && <MuteDialogue alert={alert} onClose={close} />}
          {verb === 'unmute' && (
            <VerbDialogue
              title={t('alert.unmute')}
              verb={t('alert.unmute')}
              frame="none"
              lines={[t('alert.unmute.all'), t('alert.unmute.told')]}
              send={() =>
                body(
                  api.POST('/api/v1/alerts/{alert}/actions/unmute', {
                    params: { path: { alert: alert.id } },
                  }),
                )
              }
              onClose={close}
            />
          )}
        </>
      )}
    </Live>
  );
}

function Meaning({ alert }: { alert: AlertDetail }) {
  const { t, known } = useWords();
  const cause = known('alertCause', alert.code);
  const remedy = known('alertRemedy', alert.code);
  const { acknowledged, muted, unjudged } = alert;
  return (
    <Panel title={t('alert.title')}>
      <p className="observed">
        <Served>{alert.detail}</Served>
      </p>
      <p>
        {t('problem.cause')} {cause ?? <Served>{alert.cause}</Served>}
      </p>
      <p>
        <strong>{t('problem.remedy')}</strong> {remedy ?? <Served>{alert.remedy}</Served>}
      </p>
      <Facts>
        <Fact name={t('alerts.object')}>
          <AlertObject object={alert.object} />
        </Fact>
        <Fact name={t('alerts.raised')}>
          <Instant at={alert.raised_at} age />
        </Fact>
        <Fact name={t('alert.cleared')}>
          <Instant at={alert.cleared_at} age />
        </Fact>
        <Fact name={t('alerts.times')}>
          <span className="number">{alert.occurrences}</span>
        </Fact>
        {acknowledged && (
          <Fact name={t('alert.acknowledged')}>
            {acknowledged.by} · <Instant at={acknowledged.at} age />
            {acknowledged.note && <div className="observed">{acknowledged.note}</div>}
          </Fact>
        )}
        {muted && (
          <Fact name={t('alert.muted')}>
            <Instant at={muted.until} age />
            <div>
              {known('muteScope', muted.scope) ?? muted.scope} · {muted.by} ·{' '}
              <span className="observed">{muted.reason}</span>
            </div>
          </Fact>
        )}
        {unjudged && (
          <Fact name={t('alert.unjudged')}>
            <Instant at={unjudged.since} age />
            <div className="observed">
              <Served>{unjudged.why}</Served>
            </div>
          </Fact>
        )}
        <Fact name={t('alert.code')}>
          <span className="mono">{alert.code}</span>
        </Fact>
        <Fact name={t('alert.docs')}>
          <span className="mono">{alert.docs}</span>
        </Fact>
        <Fact name={t('alert.id')}>
          <Id value={alert.id} whole />
        </Fact>
      </Facts>
    </Panel>
  );
}

function History({ alert: { history: entries, deliveries } }: { alert: AlertDetail }) {
  const { t } = useWords();
  return (
    <Panel title={t('alert.history')}>
      <Table
        caption={t('alert.history')}
        columns={[
          { name: t('alert.when') },
          { name: t('alert.event') },
          { name: t('alert.by') },
          { name: t('alert.note') },
        ]}
      >
        {[...entries].reverse().map((entry, index) => (
          // Several things may happen at once.
          // biome-ignore lint/suspicious/noArrayIndexKey: the history only grows at its other end
          <Row key={`${entry.at} ${entry.event} ${entries.length - index}`}>
            <Cell>
              <Instant at={entry.at} />
            </Cell>
            <Cell>
              <Happened entry={entry} deliveries={deliveries} />
            </Cell>
            <Cell>{entry.by ?? <span className="quiet">{t('common.none')}</span>}</Cell>
            <Cell className="observed">{entry.note}</Cell>
          </Row>
        ))}
      </Table>
    </Panel>
  );
}

/** What an entry says. That it was time to tell somebody is not that somebody was told. */
function Happened({ entry, deliveries }: { entry: AlertEntry; deliveries: AlertDelivery[] }) {
  const { t, known } = useWords();
  if (!entry.told_as) return known('alertEvent', entry.event) ?? entry.event;
  const channels = toldTo(entry, deliveries);
  const kind = known('alertTold', entry.told_as) ?? entry.told_as;
  if (channels.length === 0) {
    return (
      <>
        {t('alertEvent.told.nobody')} <span className="quiet"> · {kind}</span>
      </>
    );
  }
  return (
    <>
      {t('alertEvent.told')} <span className="quiet">{`· ${kind} · ${channels.join(', ')}`}</span>
    </>
  );
}

function Deliveries({ deliveries }: { deliveries: AlertDelivery[] }) {
  const { t, known } = useWords();
  return (
    <Panel title={t('alert.deliveries')}>
      {deliveries.length === 0 ? (
        <Empty>{t('alert.deliveries.none')}</Empty>
      ) : (
        <Table
          caption={t('alert.deliveries')}
          columns={[
            { name: t('alert.when') },
            { name: t('alert.channel') },
            { name: t('alert.told') },
            { name: t('alerts.state') },
            { name: t('alert.ended') },
            { name: t('alert.attempts'), number: true },
          ]}
        >
          {[...deliveries].reverse().map((delivery) => (
            <Row key={delivery.id}>
              <Cell>
                <Instant at={delivery.at} />
              </Cell>
              <Cell>{delivery.channel}</Cell>
              <Cell>{known('alertTold', delivery.kind) ?? delivery.kind}</Cell>
              <Cell>
                <StateBadge kind="delivery" value={delivery.state} />
                {delivery.last_error && (
                  <div className="quiet small observed">
                    <Served>{delivery.last_error}</Served>
                  </div>
                )}
              </Cell>
              <Cell>
                <Instant at={delivery.ended_at} />
              </Cell>
              <NumberCell>{delivery.attempts}</NumberCell>
            </Row>
          ))}
        </Table>
      )}
    </Panel>
  );
}
