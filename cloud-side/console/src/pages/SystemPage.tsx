/** The installation: its version, space, key, clock, and the key that its reports are signed with. */
import { useQuery } from '@tanstack/react-query';
import { useHearing } from '../api/hearing';
import { reportKey, system } from '../api/queries';
import { Bytes } from '../parts/Bytes';
import { Fact, Facts } from '../parts/Facts';
import { Id } from '../parts/Id';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Panel } from '../parts/Panel';
import { Badge } from '../parts/StateBadge';
import { useWords } from '../words/words';

export function SystemPage() {
  const { t } = useWords();
  const query = useQuery(system());
  const key = useQuery(reportKey());
  const { offset } = useHearing();
  return (
    <>
      <PageHead title={t('nav.system')} />
      <Live query={query}>
        {({ space, ...info }) => (
          <>
            <Panel title={t('system.title')}>
              <Facts>
                <Fact name={t('system.version')}>{info.version}</Fact>
                <Fact name={t('system.installation')}>
                  <Id value={info.installation} whole />
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
                    <Badge tone="warn">
                      {t('system.skew.some', { seconds: (offset / 1000).toFixed(0) })}
                    </Badge>
                  )}
                </Fact>
                <Fact name={t('system.ship')}>
                  <span className="mono">{info.ship_address} (UDP)</span>
                </Fact>
                <Fact name={t('system.key')}>
                  <Badge tone={info.installation_key === 'present' ? 'good' : 'bad'}>
                    {t(`system.key.${info.installation_key}`)}
                  </Badge>
                </Fact>
                <Fact name={t('system.capabilities')}>{info.capabilities.join(', ')}</Fact>
              </Facts>
            </Panel>
            <Panel
              title={t('system.space')}
              side={
                <Badge tone={space.below_floor ? 'bad' : 'good'}>
                  {t(space.below_floor ? 'system.space.refusing' : 'system.space.taking')}
                </Badge>
              }
            >
              <progress
                value={space.total_bytes - space.available_bytes}
                max={Math.max(1, space.total_bytes)}
                aria-label={t('system.space')}
              />
              <Facts>
                <Fact name={t('system.space.total')}>
                  <Bytes value={space.total_bytes} />
                </Fact>
                <Fact name={t('system.space.free')}>
                  <Bytes value={space.available_bytes} />
                </Fact>
                <Fact name={t('system.space.floor')}>
                  <Bytes value={space.floor_bytes} />
                </Fact>
                <Fact name={t('system.space.left')}>
                  <Bytes value={Math.max(0, space.available_bytes - space.floor_bytes)} />
                </Fact>
              </Facts>
            </Panel>
          </>
        )}
      </Live>
      <Panel title={t('system.report_key')}>
        <p className="quiet">{t('system.report_key.what')}</p>
        <Live query={key}>
          {({ key: hex, pem, head }) => (
            <>
              <Facts>
                <Fact name="Ed25519">
                  <Id value={hex} whole />
                </Fact>
                <Fact name={t('system.report_head')}>
                  {head ? (
                    <>
                      {t('report.number', { number: head.number })} · <Id value={head.digest} />
                    </>
                  ) : (
                    <span className="quiet">{t('common.none')}</span>
                  )}
                </Fact>
              </Facts>
              <pre className="pem">{pem.trim()}</pre>
            </>
          )}
        </Live>
      </Panel>
    </>
  );
}
