/**
 * Starting a restore in place: which point, what is taken back by it, what the machine has to do first, and then
 * the group's name. What the volumes hold is bookmarked before anything is written, so that it can be undone.
 */
import { Checkbox } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, body } from '../../api/client';
import { restorePreview } from '../../api/queries';
import type { Group, RestorePreview } from '../../api/types';
import { actionOf } from '../../parts/ActionButton';
import { Bytes } from '../../parts/Bytes';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { Fact, Facts } from '../../parts/Facts';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { LossFigures } from '../../parts/LossFigures';
import { PointField } from '../../parts/PointField';
import { toRestore } from '../../parts/paths';
import { Served } from '../../parts/Served';
import { Cell, NumberCell, Row, Table } from '../../parts/Table';
import { TypedName } from '../../parts/TypedName';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  group: Group;
  at: string;
  onClose: () => void;
}

export function RestoreDialogue({ group, at: first, onClose }: Props) {
  const { t, state } = useWords();
  const navigate = useNavigate();
  const [at, setAt] = useState(first);
  const [down, setDown] = useState(false);
  const [typed, setTyped] = useState('');
  const shown = useQuery({ ...restorePreview(group.name, at), enabled: at !== '' });
  const start = shown.data && actionOf(shown.data.allowed_actions, 'start');
  const wish = useWish(
    (key) =>
      body(
        api.POST('/api/v1/restores', {
          params: { header: { 'Idempotency-Key': key } },
          body: { group: group.name, at, confirm: typed },
        }),
      ),
    (restore) => {
      onClose();
      navigate(toRestore(restore.id));
    },
  );
  return (
    <Dialogue
      title={t('restore.title', { group: group.name })}
      frame="live"
      verb={t('restore.do')}
      ready={typed === group.name && down && at !== '' && start?.allowed === true && !shown.isPlaceholderData}
      busy={wish.busy}
      error={wish.error}
      keyed
      size="xl"
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('restore.what')}</p>
      <PointField group={group.name} value={at} onChange={setAt} />
      {at === 'latest' && <p className="quiet small">{t('restore.newest')}</p>}
      {at !== '' && (
        <div className="preview">
          <strong>{t('restore.preview')}</strong>
          <Live query={shown}>
            {(preview) => (
              <>
                <LossFigures loss={preview.loss} undoable />
                <Facts>
                  <Fact name={t('restore.point')}>
                    <span className="mono">{preview.point.id}</span>{' '}
                    {preview.point.label && <span className="label-mark">{preview.point.label}</span>}{' '}
                    <Instant at={preview.point.time} age />
                  </Fact>
                  <Fact name={t('place.source')}>
                    {preview.source ? state('serving', preview.source.serving) : t('place.source.silent')}
                  </Fact>
                </Facts>
                <VolumesTable preview={preview} />
              </>
            )}
          </Live>
        </div>
      )}
      {start && !start.allowed && (
        <p role="alert" className="problem-line">
          {t('restore.refused')} <Served>{start.reason ?? ''}</Served>
          {start.remedy && (
            <>
              {'. '}
              {t('problem.remedy')} <Served>{start.remedy}</Served>
            </>
          )}
        </p>
      )}
      <Consequences
        title={t('verb.consequences')}
        lines={[
          t('restore.consequence.machine'),
          t('restore.consequence.all'),
          t('restore.consequence.bookmark'),
          t('restore.consequence.unprotected'),
        ]}
      />
      <Checkbox
        checked={down}
        onChange={(event) => setDown(event.currentTarget.checked)}
        label={t('restore.down')}
        description={t('restore.down.what')}
      />
      <TypedName name={group.name} value={typed} onChange={setTyped} why={t('confirm.why.restore')} />
    </Dialogue>
  );
}

function VolumesTable({ preview }: { preview: RestorePreview }) {
  const { t } = useWords();
  return (
    <Table
      caption={t('volumes.title')}
      columns={[
        { name: t('volumes.name') },
        { name: t('volumes.size'), number: true },
        { name: t('restore.may_differ'), number: true },
      ]}
    >
      {preview.volumes.map((volume) => (
        <Row key={volume.volume}>
          <Cell>{volume.volume_name}</Cell>
          <NumberCell>
            <Bytes value={volume.size_bytes} />
          </NumberCell>
          <NumberCell>
            <Bytes value={volume.may_differ_bytes} />
          </NumberCell>
        </Row>
      ))}
    </Table>
  );
}
