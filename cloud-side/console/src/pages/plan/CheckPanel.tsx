/** What stands in the way of a run now, and what to do about it; the points that it would take. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { planCheck } from '../../api/queries';
import type { PlanCheck, PlanMode } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { toGroup } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { tone } from '../../states/tones';
import { useWords } from '../../words/words';

export function CheckPanel({ plan, mode }: { plan: string; mode: PlanMode }) {
  const { t } = useWords();
  const query = useQuery(planCheck(plan, mode, undefined));
  return (
    <Panel title={t('plan.check')} side={<span className="quiet small">{t(`planMode.${mode}`)}</span>}>
      <Live query={query}>
        {(check) => (
          <>
            <p>
              <Badge tone={tone('planCheck', check.verdict)}>{t(`plan.verdict.${check.verdict}`)}</Badge>
            </p>
            <CheckItems check={check} />
            <h3>{t('plan.points')}</h3>
            <PlanPoints check={check} />
          </>
        )}
      </Live>
    </Panel>
  );
}

const ORDER = ['failed', 'warning', 'passed'];

/** The worst first. */
export function CheckItems({ check, only }: { check: PlanCheck; only?: 'trouble' }) {
  const { t, known } = useWords();
  const items = check.items
    .filter((item) => only !== 'trouble' || item.verdict !== 'passed')
    .sort((one, other) => ORDER.indexOf(one.verdict) - ORDER.indexOf(other.verdict));
  if (items.length === 0) return null;
  return (
    <Table
      caption={t('plan.check')}
      columns={[
        { name: t('plan.check.verdict') },
        { name: t('plan.step') },
        { name: t('plan.check.what') },
        { name: t('plan.check.seen') },
      ]}
    >
      {items.map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a step has several items of one kind
        <Row key={`${item.step} ${item.check} ${at}`}>
          <Cell>
            <StateBadge kind="planCheck" value={item.verdict} />
          </Cell>
          <Cell className="mono">{item.step ?? '–'}</Cell>
          <Cell>{known('planLook', item.check) ?? item.check}</Cell>
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
  );
}

/** The point of each group and how far they are apart. */
export function PlanPoints({ check }: { check: Pick<PlanCheck, 'points' | 'skew_seconds'> }) {
  const { t, span } = useWords();
  if (check.points.length === 0) return <Empty>{t('plan.points.none')}</Empty>;
  return (
    <>
      <Table
        caption={t('plan.points')}
        columns={[
          { name: t('plan.step') },
          { name: t('common.group') },
          { name: t('points.time') },
          { name: t('points.id') },
        ]}
      >
        {check.points.map((point) => (
          <Row key={point.step}>
            <Cell className="mono">{point.step}</Cell>
            <Cell>
              <Link to={toGroup(point.group_name)}>{point.group_name}</Link>
            </Cell>
            <Cell>
              <Instant at={point.time} age />
            </Cell>
            <Cell>
              <Id value={point.point} />
            </Cell>
          </Row>
        ))}
      </Table>
      {check.skew_seconds != null && (
        <p>
          {t('plan.skew')} <strong className="number">{span(check.skew_seconds)}</strong>
        </p>
      )}
    </>
  );
}
