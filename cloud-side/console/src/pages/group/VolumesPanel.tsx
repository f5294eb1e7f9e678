import { useQuery } from '@tanstack/react-query';
import { volumes } from '../../api/queries';
import type { Group } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

/** The group's volumes, in the order of the machine's disks. */
export function VolumesPanel({ group }: { group: Group }) {
  const { t } = useWords();
  const query = useQuery(volumes(group.name));
  return (
    <Panel title={t('volumes.title')} side={<span className="quiet small">{t('volumes.since')}</span>}>
      <Live query={query}>
        {({ items }) => (
          <Table
            caption={t('volumes.title')}
            columns={[
              { name: t('volumes.name') },
              { name: t('volumes.number'), number: true },
              { name: t('volumes.size'), number: true },
              { name: t('volumes.written'), number: true },
              { name: t('volumes.writes'), number: true },
              { name: t('volumes.id') },
            ]}
          >
            {items.map((volume) => (
              <Row key={volume.id}>
                <Cell>{volume.name}</Cell>
                <NumberCell>{volume.number ?? t('common.unknown')}</NumberCell>
                <NumberCell>
                  <Bytes value={volume.size_bytes} />
                </NumberCell>
                <NumberCell>
                  <Bytes value={volume.written_bytes} />
                </NumberCell>
                <NumberCell>
                  {volume.writes ?? <span className="quiet">{t('common.unknown')}</span>}
                </NumberCell>
                <Cell>
                  <Id value={volume.id} />
                </Cell>
              </Row>
            ))}
          </Table>
        )}
      </Live>
    </Panel>
  );
}
