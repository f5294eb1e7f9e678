/** How far a machine came: each rung with what was seen and when. What did not run is not run, not passed. */
import type { RungResult } from '../api/types';
import { useWords } from '../words/words';
import { Empty } from './Empty';
import { Served } from './Served';
import { StateBadge } from './StateBadge';
import { Cell, NumberCell, Row, Table } from './Table';

export function Ladder({ rungs }: { rungs: RungResult[] }) {
  const { t, took } = useWords();
  if (rungs.length === 0) return <Empty>{t('ladder.none')}</Empty>;
  return (
    <Table
      caption={t('ladder.title')}
      columns={[
        { name: t('ladder.rung') },
        { name: t('ladder.verdict') },
        { name: t('ladder.at'), number: true },
        { name: t('ladder.observed') },
      ]}
    >
      {rungs.map((rung) => (
        <Row key={rung.rung}>
          <Cell>{t(`rung.${rung.rung}`)}</Cell>
          <Cell>
            <StateBadge kind="rungVerdict" value={rung.verdict} />
          </Cell>
          <NumberCell>{rung.at_seconds == null ? '' : took(rung.at_seconds)}</NumberCell>
          <Cell className="observed">
            {rung.reason && (
              <div>
                <Served>{rung.reason}</Served>
              </div>
            )}
            {rung.observed && <code>{rung.observed}</code>}
          </Cell>
        </Row>
      ))}
    </Table>
  );
}
