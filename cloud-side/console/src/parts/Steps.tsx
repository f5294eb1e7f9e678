/** The steps of a failover or failback: done, on its way, to come. */
import type { Stage } from '../api/types';
import type { ShownStep } from '../states/steps';
import { useWords } from '../words/words';
import { useNow } from './now';
import { Badge, StateBadge } from './StateBadge';
import { Cell, NumberCell, Row, Table } from './Table';

interface Props {
  steps: ShownStep[];
  stage: Stage;
}

export function Steps({ steps, stage }: Props) {
  const { t, span, took } = useWords();
  const now = useNow();
  return (
    <Table
      caption={t('steps.title')}
      columns={[
        { name: t('steps.step') },
        { name: t('steps.outcome') },
        { name: t('steps.took'), number: true },
        { name: t('steps.attempts'), number: true },
      ]}
    >
      {steps.map(({ step, record }, index) => (
        // A step may come twice, there and back: the place is what tells them apart.
        // biome-ignore lint/suspicious/noArrayIndexKey: steps are only ever appended
        <Row key={`${step}-${index}`} className={record ? undefined : 'to-come'}>
          <Cell>
            <div>{t(`step.${step}`)}</div>
            <div className="quiet small">{t(`step.${step}.what`)}</div>
          </Cell>
          <Cell>
            {record === null ? (
              <span className="quiet">{t('steps.to_come')}</span>
            ) : record.outcome ? (
              <StateBadge kind="stepOutcome" value={record.outcome} />
            ) : stage === 'ended' ? (
              <Badge tone="plain">{t('steps.left')}</Badge>
            ) : (
              <StateBadge kind="stage" value={stage} />
            )}
          </Cell>
          <NumberCell>
            {record === null
              ? ''
              : record.seconds != null
                ? took(record.seconds)
                : span(Math.max(0, Math.floor((now - Date.parse(record.began_at)) / 1000)))}
          </NumberCell>
          <NumberCell>{record?.attempts ?? ''}</NumberCell>
        </Row>
      ))}
    </Table>
  );
}
