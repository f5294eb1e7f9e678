/** That nothing of a drill is left, and that the replica is what it was before. */
import type { DrillReport } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

export function CleanupPanel({ report }: { report: DrillReport }) {
  const { t } = useWords();
  const { cleanup, replica, canary, isolation } = report;
  return (
    <Panel
      title={t('cleanup.title')}
      side={
        <Badge tone={cleanup.complete ? 'good' : 'bad'}>
          {t(cleanup.complete ? 'cleanup.complete' : 'cleanup.incomplete')}
        </Badge>
      }
    >
      <Facts>
        <Fact name={t('cleanup.replica')}>
          {replica ? (
            <Badge tone={replica.unchanged ? 'good' : 'bad'}>
              {t(replica.unchanged ? 'cleanup.unchanged' : 'cleanup.changed')}
            </Badge>
          ) : (
            <Badge tone="unknown">{t('common.unknown')}</Badge>
          )}
        </Fact>
        <Fact name={t('cleanup.overlay')}>
          <Bytes value={report.overlay_bytes} />
        </Fact>
        {isolation.decisive && (
          <Fact name={t('cleanup.isolation')}>
            <Served>{isolation.decisive.reason}</Served>
          </Fact>
        )}
        {canary && (
          <Fact name={t('cleanup.canary')}>
            <code>{canary.line}</code>
            {canary.behind_point_seconds != null && (
              <span className="quiet">
                {' '}
                · {t('cleanup.behind', { seconds: canary.behind_point_seconds.toFixed(3) })}
              </span>
            )}
          </Fact>
        )}
      </Facts>
      <Table
        caption={t('cleanup.title')}
        columns={[{ name: t('cleanup.what') }, { name: t('cleanup.proven') }, { name: t('cleanup.seen') }]}
      >
        {cleanup.items.map((item) => (
          <Row key={item.what}>
            <Cell>
              <Served>{item.what}</Served>
            </Cell>
            <Cell>
              <Badge tone={item.proven ? 'good' : 'bad'}>
                {t(item.proven ? 'cleanup.yes' : 'cleanup.no')}
              </Badge>
            </Cell>
            <Cell className="observed">
              <Served>{item.detail}</Served>
            </Cell>
          </Row>
        ))}
      </Table>
    </Panel>
  );
}
