/** What production writes and what waits on its way here: a journal that fills is the first sign of a link too thin. */
import type { Group } from '../../api/types';
import { bytes } from '../../format/bytes';
import { Bytes } from '../../parts/Bytes';
import { Panel } from '../../parts/Panel';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { byJournal, journalShare } from '../../states/overview';
import { remembered, series } from '../../states/samples';
import { useWords } from '../../words/words';

const SHOWN = 8;

export function FlowPanel({ all }: { all: Group[] }) {
  const { t } = useWords();
  return (
    <Panel title={t('overview.flow')}>
      <Table
        caption={t('overview.flow')}
        columns={[
          { name: t('groups.name') },
          { name: t('recent.rate'), number: true },
          { name: t('link.journal') },
          { name: t('link.spool'), number: true },
        ]}
      >
        {[...all]
          .sort(byJournal)
          .slice(0, SHOWN)
          .map((group) => (
            <FlowRow key={group.id} group={group} />
          ))}
      </Table>
    </Panel>
  );
}

function FlowRow({ group }: { group: Group }) {
  const { t } = useWords();
  const rate = series(remembered(group.id)).rate.at(-1) ?? null;
  const share = journalShare(group);
  const { capture } = group;
  return (
    <Row>
      <Cell className="name">{group.name}</Cell>
      <NumberCell>
        {rate === null ? (
          <span className="quiet">{t('common.unknown')}</span>
        ) : (
          `${bytes(Math.round(rate))}/s`
        )}
      </NumberCell>
      <Cell>
        <Bytes value={capture.journal_used_bytes} /> / <Bytes value={capture.journal_capacity_bytes} />
        {share !== null && (
          <progress value={share} max={1} aria-label={`${group.name}: ${t('link.journal')}`} />
        )}
      </Cell>
      <NumberCell>
        <Bytes value={capture.spooled_bytes} />
      </NumberCell>
    </Row>
  );
}
