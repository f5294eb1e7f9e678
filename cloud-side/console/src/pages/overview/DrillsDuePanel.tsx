/** The groups that should be drilled next: what is overdue, what was never proven, what was proven longest ago. */
import { Link } from 'react-router';
import type { Group } from '../../api/types';
import { Age, Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { toGroup } from '../../parts/paths';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { byDrillDue } from '../../states/overview';
import { useWords } from '../../words/words';

const SHOWN = 8;

export function DrillsDuePanel({ all }: { all: Group[] }) {
  const { t } = useWords();
  return (
    <Panel title={t('overview.drills')}>
      <Table
        caption={t('overview.drills')}
        columns={[
          { name: t('groups.name') },
          { name: t('groups.drill') },
          { name: t('overview.due') },
          { name: t('groups.readiness') },
        ]}
      >
        {[...all]
          .sort(byDrillDue)
          .slice(0, SHOWN)
          .map(({ id, name, drill, readiness }) => (
            <Row key={id}>
              <Cell>
                <Link
                  className="name"
                  to={toGroup(name, 'drills')}
                  aria-label={t('overview.drills.of', { name })}
                >
                  {name}
                </Link>
              </Cell>
              <Cell>
                {drill.last_passed_at ? <Age at={drill.last_passed_at} /> : t('groups.drill.never')}
              </Cell>
              <Cell>
                {drill.overdue_since ? (
                  <>
                    <Badge tone="warn">{t('groups.drill.overdue')}</Badge>{' '}
                    <Instant at={drill.overdue_since} age />
                  </>
                ) : drill.last_passed_at ? (
                  <span className="quiet">{t('common.none')}</span>
                ) : (
                  <Badge tone="warn">{t('overview.unproven')}</Badge>
                )}
              </Cell>
              <Cell>
                <StateBadge kind="readiness" value={readiness.state} />
              </Cell>
            </Row>
          ))}
      </Table>
    </Panel>
  );
}
