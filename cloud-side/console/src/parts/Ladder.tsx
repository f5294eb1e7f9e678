/** How far a machine came: each rung with what was seen and when. What did not run is not run, not passed. */
import type { ReactNode } from 'react';
import type { RungResult } from '../api/types';
import { useWords } from '../words/words';
import { Empty } from './Empty';
import { Served } from './Served';
import { StateBadge } from './StateBadge';
import { Cell, NumberCell, Row, Table } from './Table';

type Seen = Pick<RungResult, 'verdict' | 'at_seconds' | 'reason' | 'observed'>;

export function Ladder({ rungs }: { rungs: RungResult[] }) {
  const { t, took } = useWords();
  const seen = (key: string, name: ReactNode, result: Seen) => (
    <Row key={key}>
      <Cell>{name}</Cell>
      <Cell>
        <StateBadge kind="rungVerdict" value={result.verdict} />
      </Cell>
      <NumberCell>{result.at_seconds == null ? '' : took(result.at_seconds)}</NumberCell>
      <Cell className="observed">
        {result.reason && (
          <div>
            <Served>{result.reason}</Served>
          </div>
        )}
        {result.observed && <code>{result.observed}</code>}
      </Cell>
    </Row>
  );
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
      {rungs.flatMap((rung) => [
        seen(rung.rung, t(`rung.${rung.rung}`), rung),
        // A rung that is one probe says all of it already.
        ...(rung.probes ?? [])
          .filter((probe) => probe.name !== rung.rung)
          .map((probe) => seen(`${rung.rung} ${probe.name}`, <code>{probe.name}</code>, probe)),
      ])}
    </Table>
  );
}
