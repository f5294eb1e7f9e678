/** An entry of the audit log, with all that it has. */
import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';
import type { AuditEntry } from '../../api/types';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Served } from '../../parts/Served';
import { Badge } from '../../parts/StateBadge';
import { outcomeTone } from '../../states/audit';
import { type Key, useWords } from '../../words/words';

interface Props {
  entry: AuditEntry;
  onClose: () => void;
}

export function EntryDialogue({ entry, onClose }: Props) {
  const { t, known } = useWords();
  const fact = (name: Key, value: ReactNode) =>
    value === null || value === undefined || value === '' ? null : <Fact name={t(name)}>{value}</Fact>;
  const mono = (text: string | number | null | undefined) =>
    text === null || text === undefined ? null : <span className="mono observed">{text}</span>;
  const { actor } = entry;
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      classNames={{ content: 'dialogue' }}
      title={t('audit.entry', { number: entry.sequence })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Facts>
        {fact('audit.at', <Instant at={entry.at} age />)}
        {fact(
          'audit.actor',
          <>
            <span className="observed">{actor.name}</span>{' '}
            <span className="quiet">{known('auditActor', actor.kind) ?? actor.kind}</span>
            {actor.id && (
              <div>
                <Id value={actor.id} whole />
              </div>
            )}
          </>,
        )}
        {fact(
          'audit.action',
          <>
            {known('auditAction', entry.action)} {mono(entry.action)}
          </>,
        )}
        {fact('audit.object_kind', mono(entry.object_kind))}
        {fact('audit.object', mono(entry.object))}
        {fact(
          'audit.outcome',
          <Badge tone={outcomeTone(entry.outcome)}>
            {known('auditOutcome', entry.outcome) ?? entry.outcome}
          </Badge>,
        )}
        {fact('audit.status', mono(entry.status))}
        {fact('audit.code', mono(entry.code))}
        {fact('audit.began', mono(entry.began))}
        {fact('audit.count', mono(entry.count))}
        {fact('audit.detail', entry.detail && <Served>{entry.detail}</Served>)}
        {Object.entries(entry.changes).map(([name, value]) => (
          <Fact key={name} name={known('auditField', name) ?? name}>
            <span className="mono observed">{value}</span>
          </Fact>
        ))}
        {fact('audit.source', mono(entry.source))}
        {fact('audit.session', mono(entry.session))}
        {fact('audit.request', mono(entry.request))}
        {fact('audit.idempotency', mono(entry.idempotency))}
        {fact('audit.hash', <Id value={entry.hash} whole />)}
      </Facts>
    </Modal>
  );
}
