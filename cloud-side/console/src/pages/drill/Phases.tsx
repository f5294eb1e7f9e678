/** The phases of a drill, with bars that show where the time went. */
import type { Drill, Phase } from '../../api/types';
import { Served } from '../../parts/Served';
import { Badge, StateBadge } from '../../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { useWords } from '../../words/words';

const ORDER: Phase[] = [
  'precheck',
  'pin_point',
  'create_overlays',
  'isolated_network',
  'boot',
  'probe',
  'hold',
  'evidence',
  'destroy',
  'verify_destroyed',
  'report',
];

export function Phases({ drill }: { drill: Drill }) {
  const { t, took } = useWords();
  const report = drill.report;
  const end = report
    ? Math.max(0.001, ...report.phases.map((phase) => phase.began_seconds + phase.duration_seconds))
    : 1;
  const current = drill.progress ? ORDER.indexOf(drill.progress.phase) : -1;
  return (
    <Table
      caption={t('phases.title')}
      columns={[
        { name: t('phases.phase') },
        { name: t('phases.outcome') },
        { name: t('phases.took'), number: true },
        { name: t('phases.when') },
      ]}
    >
      {ORDER.map((name, index) => {
        const phase = report?.phases.find((entered) => entered.phase === name);
        // After its end a drill tells which phases it entered; the others were not.
        if (report && !phase) return null;
        const left = phase ? (100 * phase.began_seconds) / end : 0;
        const width = phase ? Math.max(0.6, (100 * phase.duration_seconds) / end) : 0;
        return (
          <Row key={name} className={!report && index > current ? 'to-come' : undefined}>
            <Cell>
              {t(`phase.${name}`)}
              {phase?.detail && (
                <div className="quiet small observed">
                  <Served>{phase.detail}</Served>
                </div>
              )}
            </Cell>
            <Cell>
              {phase ? (
                <StateBadge kind="phaseOutcome" value={phase.outcome} />
              ) : index === current ? (
                <Badge tone="busy">{t('phases.now')}</Badge>
              ) : index < current ? (
                <Badge tone="plain">{t('phases.past')}</Badge>
              ) : (
                <span className="quiet">{t('steps.to_come')}</span>
              )}
            </Cell>
            <NumberCell>{phase ? took(phase.duration_seconds) : ''}</NumberCell>
            <Cell>
              {phase && (
                <svg className="phase-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                  <rect x={Math.min(left, 99.4)} width={width} y="1" height="6" rx="1" />
                </svg>
              )}
            </Cell>
          </Row>
        );
      })}
    </Table>
  );
}
