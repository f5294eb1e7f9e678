/** Whether a point would boot, said from its disks: the last inspection, and a new one. */
import { Modal, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { ApiProblem } from '../../api/problem';
import { job as jobQuery, pointReadiness } from '../../api/queries';
import type { Group, Point, PointReadiness } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { Fact, Facts } from '../../parts/Facts';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { JobOutcome } from '../../parts/JobOutcome';
import { Live } from '../../parts/Live';
import { ProblemNotice } from '../../parts/ProblemNotice';
import { Served } from '../../parts/Served';
import { StateBadge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  point: Point;
  onClose: () => void;
}

export function ReadinessDialogue({ group, point, onClose }: Props) {
  const { t } = useWords();
  const [job, setJob] = useState<string | null>(null);
  const known = useQuery(pointReadiness(group.name, point.id));
  const running = useQuery({ ...jobQuery(job ?? ''), enabled: job !== null });
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/groups/{group}/points/{point}/readiness', {
          params: { path: { group: group.name, point: point.id }, header: { 'Idempotency-Key': key } },
          body: {},
        }),
      ),
    (made) => setJob(made.id),
  );
  const never = known.error instanceof ApiProblem && known.error.status === 404;
  const busy = wish.busy || (job !== null && !running.data?.finished_at);
  return (
    <Modal
      opened
      onClose={onClose}
      size="xl"
      title={t('readiness.title', { point: point.label ?? point.id })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Stack gap="md">
        <p className="quiet">{t('readiness.what')}</p>
        {never ? (
          <Empty>{t('readiness.never')}</Empty>
        ) : (
          <Live query={known}>{(found) => <Found found={found} />}</Live>
        )}
        {wish.error && <ProblemNotice error={wish.error} keyed />}
        {job !== null && <JobOutcome query={running} />}
        <GuardedButton
          operation="check_point_readiness"
          label={t('readiness.now')}
          loading={busy}
          onClick={wish.send}
        />
      </Stack>
    </Modal>
  );
}

function Found({ found }: { found: PointReadiness }) {
  const { t } = useWords();
  const { checks, readiness, operating_system, target, fix_ups } = found.report;
  return (
    <>
      <Facts>
        <Fact name={t('readiness.answer')}>
          <StateBadge kind="readiness" value={readiness} />
        </Fact>
        <Fact name={t('readiness.checked')}>
          <Instant at={found.checked_at} age />
        </Fact>
        <Fact name={t('readiness.system')}>{operating_system ?? t('common.unknown')}</Fact>
        <Fact name={t('readiness.machine')}>
          {t('readiness.machine.words', {
            firmware: target.firmware.toUpperCase(),
            bus: target.disk_bus,
            cards: target.network_cards,
          })}
        </Fact>
      </Facts>
      <Table
        caption={t('readiness.checks')}
        columns={[
          { name: t('readiness.check') },
          { name: t('readiness.verdict') },
          { name: t('readiness.evidence') },
        ]}
      >
        {checks.map((check, index) => (
          // A question may be asked of each disk.
          // biome-ignore lint/suspicious/noArrayIndexKey: the checks of a report do not move
          <Row key={`${check.code}-${index}`}>
            <Cell>{t(`check.${check.code}`)}</Cell>
            <Cell>
              <StateBadge kind="readinessVerdict" value={check.verdict} />
            </Cell>
            <Cell className="observed">
              <Served>{check.evidence}</Served>
              {check.remedy && (
                <div>
                  <strong>{t('problem.remedy')}</strong> <Served>{check.remedy}</Served>
                </div>
              )}
            </Cell>
          </Row>
        ))}
      </Table>
      {fix_ups.length > 0 && (
        <>
          <strong>{t('readiness.fixups')}</strong>
          <ul>
            {fix_ups.map((fix) => (
              <li key={fix.description}>
                <Served>{fix.description}</Served>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
