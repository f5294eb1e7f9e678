/** The channels that alerts are told by: whether what is told arrives, and a test of it. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, body } from '../../api/client';
import { alertChannels, readAgain } from '../../api/queries';
import type { AlertChannel } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { ProblemNotice } from '../../parts/ProblemNotice';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

export function ChannelsPanel() {
  const { t } = useWords();
  const query = useQuery(alertChannels());
  return (
    <Panel title={t('channels.title')}>
      <p className="quiet">{t('channels.what')}</p>
      <Live query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>{t('channels.none')}</Empty>
          ) : (
            <Table
              caption={t('channels.title')}
              columns={[
                { name: t('channels.name') },
                { name: t('channels.hears') },
                { name: t('channels.works') },
                { name: t('channels.success') },
                { name: t('channels.pending'), number: true },
                { name: t('channels.given_up'), number: true },
                { name: t('channels.beat'), number: true },
                { name: t('channels.test') },
              ]}
            >
              {items.map((channel) => (
                <ChannelRow key={channel.name} channel={channel} />
              ))}
            </Table>
          )
        }
      </Live>
    </Panel>
  );
}

function ChannelRow({ channel }: { channel: AlertChannel }) {
  const { t, known, wholeSpan } = useWords();
  return (
    <Row>
      <Cell>
        <span className="name">{channel.name}</span>
        <div className="quiet small">{known('channelKind', channel.kind) ?? channel.kind}</div>
      </Cell>
      <Cell>
        {t(`channels.hears.${channel.minimum_severity}`)}
        <div className="quiet small observed">
          {channel.codes.length === 0
            ? t('channels.codes.all')
            : channel.codes.map((code) => known('alertCode', code) ?? code).join(' · ')}
        </div>
      </Cell>
      <Cell>
        <Working channel={channel} />
      </Cell>
      <Cell>
        <Instant at={channel.last_success_at} age />
      </Cell>
      <NumberCell>{channel.pending}</NumberCell>
      <NumberCell>{channel.given_up}</NumberCell>
      <NumberCell>
        {channel.heartbeat_every_seconds ? (
          wholeSpan(channel.heartbeat_every_seconds)
        ) : (
          <span className="quiet">{t('common.none')}</span>
        )}
      </NumberCell>
      <Cell>
        <Test channel={channel.name} />
      </Cell>
    </Row>
  );
}

function Working({ channel }: { channel: AlertChannel }) {
  const { t } = useWords();
  const { failing_since, last_failure, last_success_at } = channel;
  return (
    <>
      {failing_since ? (
        <>
          <Badge tone="bad">{t('channels.failing')}</Badge>
          <div className="small">
            <Instant at={failing_since} age />
          </div>
        </>
      ) : last_success_at ? (
        <Badge tone="good">{t('channels.working')}</Badge>
      ) : (
        // Nothing was ever sent: whether it would arrive is not known.
        <Badge tone="unknown">{t('channels.unproven')}</Badge>
      )}
      {last_failure && (
        <div className="quiet small observed">
          <Instant at={last_failure.at} /> <Served>{last_failure.error}</Served>
        </div>
      )}
    </>
  );
}

function Test({ channel }: { channel: string }) {
  const { t, took } = useWords();
  const client = useQueryClient();
  const testing = useMutation({
    mutationFn: () =>
      body(api.POST('/api/v1/alert-channels/{channel}/actions/test', { params: { path: { channel } } })),
    onSettled: () => readAgain(client),
  });
  const { data } = testing;
  return (
    <>
      <GuardedButton
        operation="test_alert_channel"
        label={t('channels.test.do')}
        size="compact-xs"
        loading={testing.isPending}
        onClick={() => testing.mutate()}
      />
      <div aria-live="polite" className="small observed">
        {testing.error && <ProblemNotice error={testing.error} compact />}
        {data && (
          <>
            <Badge tone={data.delivered ? 'good' : 'bad'}>
              {data.delivered
                ? t('channels.test.taken', { span: took(data.took_ms / 1000) })
                : t('channels.test.failed')}
            </Badge>
            {data.error && (
              <div>
                <Served>{data.error}</Served>
              </div>
            )}
          </>
        )}
      </div>
    </>
  );
}
