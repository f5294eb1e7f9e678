/** Where a group's production is, and all its failovers and failbacks. */
import { useQuery } from '@tanstack/react-query';
import { placement as placementQuery } from '../../api/queries';
import { Direction } from '../../parts/Direction';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';
import { FailbackList } from '../move/FailbackList';
import { FailoverList } from '../move/FailoverList';
import { useGroup } from './GroupFrame';

export function GroupMovesPage() {
  const { t, state } = useWords();
  const { group } = useGroup();
  const query = useQuery(placementQuery(group.name));
  return (
    <>
      <Panel title={t('place.title')}>
        <Live query={query}>
          {(placement) => (
            <>
              <p>
                <Direction placement={placement.state} />{' '}
                <StateBadge kind="placement" value={placement.state} />
              </p>
              <p className="quiet">{t(`place.${placement.state}.what`)}</p>
              <Facts>
                <Fact name={t('place.authority')}>{t(`site.${placement.authority}`)}</Fact>
                <Fact name={t('place.generation')}>
                  <span className="number">{placement.generation}</span>
                </Fact>
                <Fact name={t('place.source')}>
                  {placement.source ? (
                    <>
                      {state('serving', placement.source.serving)} ·{' '}
                      {t('place.source.knows', { generation: placement.source.generation })}
                    </>
                  ) : (
                    t('place.source.silent')
                  )}
                </Fact>
                <Fact name={t('place.order')}>
                  {t(`duty.${placement.source_order.duty}`)} ·{' '}
                  {t('place.order.generation', { generation: placement.source_order.generation })}
                </Fact>
                {placement.target && (
                  <>
                    <Fact name={t('place.point')}>
                      <Id value={placement.target.point} />
                    </Fact>
                    <Fact name={t('place.instance')}>
                      <Id value={placement.target.instance} />
                    </Fact>
                    <Fact name={t('place.branch')}>
                      <Id value={placement.target.branch} />
                    </Fact>
                  </>
                )}
              </Facts>
            </>
          )}
        </Live>
      </Panel>
      <FailoverList group={group.name} />
      <FailbackList group={group.name} />
    </>
  );
}
