/** The captures at the sources: one for each group, as its gateway relays what it says. */
import { Link } from 'react-router';
import type { Group } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { toGroup } from '../../parts/paths';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { useMore } from '../../parts/useMore';
import { byJournal, journalShare } from '../../states/overview';
import { useWords } from '../../words/words';

export function CapturesPanel({ all }: { all: Group[] }) {
  const { t, state } = useWords();
  const { shown, more } = useMore([...all].sort(byJournal));
  if (all.length === 0) return null;
  return (
    <Panel title={t('infra.captures')}>
      <Table
        caption={t('infra.captures')}
        columns={[
          { name: t('groups.name') },
          { name: t('link.state') },
          { name: t('link.since') },
          { name: t('link.reported') },
          { name: t('place.source') },
          { name: t('link.journal') },
        ]}
      >
        {shown.map((group) => {
          const { capture } = group;
          const share = journalShare(group);
          return (
            <Row key={group.id}>
              <Cell>
                <Link className="name" to={toGroup(group.name)}>
                  {group.name}
                </Link>
              </Cell>
              <Cell>
                <Badge tone={capture.connected ? 'good' : 'bad'}>
                  {t(capture.connected ? 'link.connected' : 'link.gone')}
                </Badge>
              </Cell>
              <Cell>
                <Instant at={capture.since} age />
              </Cell>
              <Cell>
                <Instant at={capture.reported_at} />
              </Cell>
              <Cell>
                {capture.standing ? (
                  state('serving', capture.standing.serving)
                ) : (
                  <span className="quiet">{t('place.source.silent')}</span>
                )}
              </Cell>
              <Cell>
                <Bytes value={capture.journal_used_bytes} /> /{' '}
                <Bytes value={capture.journal_capacity_bytes} />
                {share !== null && (
                  <progress value={share} max={1} aria-label={`${group.name}: ${t('link.journal')}`} />
                )}
              </Cell>
            </Row>
          );
        })}
      </Table>
      {more}
    </Panel>
  );
}
