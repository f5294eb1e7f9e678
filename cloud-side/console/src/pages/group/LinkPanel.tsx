/** The capture at the source and the gateway that feeds the group. */
import type { Group } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { Badge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';

export function LinkPanel({ group }: { group: Group }) {
  const { t } = useWords();
  const { capture, gateway } = group;
  const connected = (yes: boolean) => (
    <Badge tone={yes ? 'good' : 'bad'}>{t(yes ? 'link.connected' : 'link.gone')}</Badge>
  );
  const used = capture.journal_used_bytes;
  const room = capture.journal_capacity_bytes;
  return (
    <Panel title={t('link.title')}>
      <h3>{t('link.capture')}</h3>
      <Facts>
        <Fact name={t('link.state')}>{connected(capture.connected)}</Fact>
        <Fact name={t('link.since')}>
          <Instant at={capture.since} age />
        </Fact>
        <Fact name={t('link.reported')}>
          <Instant at={capture.reported_at} />
        </Fact>
        <Fact name={t('link.journal')}>
          <Bytes value={used} /> / <Bytes value={room} />
          {used != null && room != null && room > 0 && (
            <progress value={used} max={room} aria-label={t('link.journal')} />
          )}
        </Fact>
      </Facts>
      <h3>{t('link.gateway')}</h3>
      <Facts>
        <Fact name={t('link.state')}>{connected(gateway.connected)}</Fact>
        <Fact name={t('link.since')}>
          <Instant at={gateway.since} age />
        </Fact>
        <Fact name={t('link.peer')}>
          {gateway.peer ? (
            <Id value={gateway.peer} whole />
          ) : (
            <span className="quiet">{t('common.none')}</span>
          )}
        </Fact>
        <Fact name={t('link.spool')}>
          <Bytes value={capture.spooled_bytes} />
        </Fact>
        <Fact name={t('link.stream')}>
          <Id value={group.stream} />
        </Fact>
      </Facts>
    </Panel>
  );
}
