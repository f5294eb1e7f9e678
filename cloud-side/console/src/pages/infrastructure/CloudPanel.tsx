/** The cloud side's process: where gateways reach it, its key and its clock. */
import { useHearing } from '../../api/hearing';
import type { System } from '../../api/types';
import { Fact, Facts } from '../../parts/Facts';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { Badge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';

export function CloudPanel({ info }: { info: System }) {
  const { t } = useWords();
  const { offset } = useHearing();
  return (
    <Panel title={t('infra.cloud')}>
      <Facts>
        <Fact name={t('system.ship')}>
          <span className="mono">{info.ship_address} (UDP)</span>
        </Fact>
        <Fact name={t('system.key')}>
          <Badge tone={info.installation_key === 'present' ? 'good' : 'bad'}>
            {t(`system.key.${info.installation_key}`)}
          </Badge>
        </Fact>
        <Fact name={t('system.started')}>
          <Instant at={info.started_at} age />
        </Fact>
        <Fact name={t('system.now')}>
          <Instant at={info.now} />
        </Fact>
        <Fact name={t('system.skew')}>
          {offset === 0 ? (
            t('system.skew.none')
          ) : (
            <Badge tone="warn">{t('system.skew.some', { seconds: (offset / 1000).toFixed(0) })}</Badge>
          )}
        </Fact>
      </Facts>
    </Panel>
  );
}
