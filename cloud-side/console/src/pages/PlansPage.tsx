/** Recovery plans, and the runs of all of them. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { plans } from '../api/queries';
import { Empty } from '../parts/Empty';
import { GuardedButton } from '../parts/GuardedButton';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { NEW_PLAN, toGroup, toPlan } from '../parts/paths';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { usePages } from '../parts/usePages';
import type { PlanText } from '../states/plan';
import { useWords } from '../words/words';
import { RunList } from './plan/RunList';

export function PlansPage() {
  const { t } = useWords();
  const pages = usePages();
  const query = useQuery(plans(pages.cursor));
  return (
    <>
      <PageHead
        title={t('nav.plans')}
        actions={<GuardedButton operation="apply_plan" label={t('plan.new')} look="main" to={NEW_PLAN} />}
      />
      <Panel title={t('plans.title')}>
        <p className="quiet">{t('plans.what')}</p>
        <Live query={query}>
          {({ items, next_cursor }) =>
            items.length === 0 ? (
              <Empty>{t('plans.none')}</Empty>
            ) : (
              <>
                <Table
                  caption={t('plans.title')}
                  columns={[
                    { name: t('plans.name') },
                    { name: t('plans.groups') },
                    { name: t('plans.steps'), number: true },
                    { name: t('plans.version'), number: true },
                    { name: t('plans.applied') },
                    { name: t('plans.by') },
                  ]}
                >
                  {items.map((plan) => {
                    const { description, steps } = plan.document as unknown as PlanText;
                    return (
                      <Row key={plan.name}>
                        <Cell>
                          <Link className="name" to={toPlan(plan.name)}>
                            {plan.name}
                          </Link>
                          {description && <div className="quiet small observed">{description}</div>}
                        </Cell>
                        <Cell>
                          {plan.groups.map((group, at) => (
                            <span key={group}>
                              {at > 0 && ', '}
                              <Link to={toGroup(group)}>{group}</Link>
                            </span>
                          ))}
                        </Cell>
                        <NumberCell>{steps.length}</NumberCell>
                        <NumberCell>{plan.version}</NumberCell>
                        <Cell>
                          <Instant at={plan.applied_at} />
                        </Cell>
                        <Cell>{plan.applied_by}</Cell>
                      </Row>
                    );
                  })}
                </Table>
                <Pager pages={pages} next={next_cursor} />
              </>
            )
          }
        </Live>
      </Panel>
      <RunList />
    </>
  );
}
