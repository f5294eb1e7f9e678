/** The gateways, by what the groups say of who feeds them. */
import { Link } from 'react-router';
import type { Group } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { toGroup } from '../../parts/paths';
import { Badge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { gateways, shortPeer } from '../../states/infrastructure';
import { useWords } from '../../words/words';

const SHOWN_GROUPS = 8;

export function GatewaysPanel({ all }: { all: Group[] }) {
  const { t } = useWords();
  const lines = gateways(all);
  return (
    <Panel title={t('infra.gateways')}>
      {lines.length === 0 ? (
        <Empty>{t('infra.gateways.none')}</Empty>
      ) : (
        <Table
          caption={t('infra.gateways')}
          columns={[
            { name: t('link.gateway') },
            { name: t('link.state') },
            { name: t('link.since') },
            { name: t('infra.feeds') },
            { name: t('link.spool'), number: true },
          ]}
        >
          {lines.map(({ peer, connected, groups, spooled, since }) => (
            <Row key={`${peer} ${connected}`}>
              <Cell>
                {peer ? (
                  <>
                    <span className="name">{shortPeer(peer)}</span>
                    <div className="small observed">
                      <Id value={peer} whole />
                    </div>
                  </>
                ) : (
                  <span className="quiet">{t('infra.gateway.none')}</span>
                )}
              </Cell>
              <Cell>
                <Badge tone={connected ? 'good' : 'bad'}>
                  {t(connected ? 'link.connected' : 'link.gone')}
                </Badge>
              </Cell>
              <Cell>
                <Instant at={since} age />
              </Cell>
              <Cell>
                {groups.slice(0, SHOWN_GROUPS).map(({ id, name }, index) => (
                  <span key={id}>
                    {index > 0 && ' · '}
                    <Link to={toGroup(name)}>{name}</Link>
                  </span>
                ))}
                {groups.length > SHOWN_GROUPS && (
                  <span className="quiet"> {t('infra.more', { count: groups.length - SHOWN_GROUPS })}</span>
                )}
              </Cell>
              <NumberCell>
                <Bytes value={spooled} />
              </NumberCell>
            </Row>
          ))}
        </Table>
      )}
    </Panel>
  );
}
