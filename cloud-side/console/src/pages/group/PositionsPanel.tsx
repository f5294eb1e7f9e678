/** How far each place on the way of a write has come. Every lag is the difference of two of these. */
import type { Group, Positions } from '../../api/types';
import { behind } from '../../format/positions';
import { Panel } from '../../parts/Panel';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

const ORDER: (keyof Positions)[] = ['sequenced', 'settled', 'journaled', 'received', 'durable', 'published'];

export function PositionsPanel({ group }: { group: Group }) {
  const { t } = useWords();
  const head = group.positions.sequenced;
  return (
    <Panel title={t('positions.title')}>
      <Table
        caption={t('positions.title')}
        columns={[
          { name: t('positions.place') },
          { name: t('positions.position'), number: true },
          { name: t('positions.behind'), number: true },
        ]}
      >
        {ORDER.map((name) => {
          const position = group.positions[name];
          const lag = behind(position, head);
          return (
            <Row key={name}>
              <Cell>
                {t(`position.${name}`)}
                <div className="quiet small">{t(`position.${name}.what`)}</div>
              </Cell>
              <NumberCell>{position ?? <span className="quiet">{t('common.unknown')}</span>}</NumberCell>
              <NumberCell>
                {lag === null ? <span className="quiet">{t('common.unknown')}</span> : lag}
              </NumberCell>
            </Row>
          );
        })}
      </Table>
    </Panel>
  );
}
