import type { DrillReport } from '../../api/types';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

/** What was looked at before the drill began. */
export function PrecheckPanel({ precheck }: { precheck: NonNullable<DrillReport['precheck']> }) {
  const { t } = useWords();
  return (
    <Panel title={t('precheck.title')}>
      <Table
        caption={t('precheck.title')}
        columns={[
          { name: t('precheck.what') },
          { name: t('precheck.verdict') },
          { name: t('precheck.seen') },
        ]}
      >
        {precheck.items.map((item) => (
          <Row key={item.name}>
            <Cell>
              <Served>{item.name}</Served>
            </Cell>
            <Cell>
              <StateBadge kind="precheckVerdict" value={item.verdict} />
            </Cell>
            <Cell className="observed">
              <Served>{item.detail}</Served>
              {item.remedy && (
                <div>
                  <strong>{t('problem.remedy')}</strong> <Served>{item.remedy}</Served>
                </div>
              )}
            </Cell>
          </Row>
        ))}
      </Table>
    </Panel>
  );
}
