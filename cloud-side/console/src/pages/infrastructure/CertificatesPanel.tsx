/** Until when the cloud side's certificates are good, by its metrics. */
import { useQuery } from '@tanstack/react-query';
import { metrics } from '../../api/queries';
import { Empty } from '../../parts/Empty';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { Panel } from '../../parts/Panel';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { certificates } from '../../states/infrastructure';
import { samplesOf } from '../../states/metrics';
import { useWords } from '../../words/words';

export function CertificatesPanel() {
  const { t, known } = useWords();
  const now = useNow();
  const query = useQuery(metrics());
  return (
    <Panel title={t('infra.certificates')}>
      <p className="quiet">{t('infra.certificates.what')}</p>
      {/* It ends by the day: that it is read rarely does not make it old. */}
      <Live query={query} polled={false}>
        {(text) => {
          const found = certificates(samplesOf(text, 'bcdr_certificate_expiry_timestamp_seconds'), now);
          return found.length === 0 ? (
            <Empty>{t('infra.certificates.none')}</Empty>
          ) : (
            <Table
              caption={t('infra.certificates')}
              columns={[
                { name: t('infra.certificate') },
                { name: t('link.state') },
                { name: t('infra.certificate.ends') },
              ]}
            >
              {found.map(({ name, ends, tone }) => (
                <Row key={name}>
                  <Cell>
                    <span className="name">{known('infra.certificate', name) ?? name}</span>
                  </Cell>
                  <Cell>
                    <Badge tone={tone}>
                      {t(
                        Date.parse(ends) <= now
                          ? 'infra.certificate.over'
                          : tone === 'good'
                            ? 'infra.certificate.good'
                            : 'infra.certificate.soon',
                      )}
                    </Badge>
                  </Cell>
                  <Cell>
                    <Instant at={ends} age />
                  </Cell>
                </Row>
              ))}
            </Table>
          );
        }}
      </Live>
    </Panel>
  );
}
