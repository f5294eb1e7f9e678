/**
 * Who did what, and who was refused. Reading the log is entered in it, so this page reads when it is told to and
 * never by itself.
 */
import { Autocomplete, Button, Group as Line, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useSearchParams } from 'react-router';
import { auditLog } from '../api/queries';
import type { AuditEntry } from '../api/types';
import { Empty } from '../parts/Empty';
import { Instant } from '../parts/Instant';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { Pager } from '../parts/Pager';
import { Panel } from '../parts/Panel';
import { Permitted } from '../parts/Permitted';
import { Badge } from '../parts/StateBadge';
import { Cell, NumberCell, Row, Table } from '../parts/Table';
import { TimeField } from '../parts/TimeField';
import { useTimes } from '../parts/times';
import { usePages } from '../parts/usePages';
import { type AuditFilter, addressOf, filterOf, OUTCOMES, outcomeTone } from '../states/audit';
import { en } from '../words/en';
import { useWords } from '../words/words';
import { EntryDialogue } from './audit/EntryDialogue';
import { VerifyPanel } from './audit/VerifyPanel';

export function AuditPage() {
  const { t } = useWords();
  const [address, setAddress] = useSearchParams();
  const filter = filterOf(address);
  return (
    <>
      <PageHead title={t('nav.audit')} note={t('audit.what')} />
      <Permitted operations={['list_audit', 'show_audit_head', 'export_audit']}>
        {/* Another filter begins at its first page, with its own words in the fields. */}
        <Entries
          key={addressOf(filter).toString()}
          filter={filter}
          onFilter={(next) => setAddress(addressOf(next))}
        />
        <VerifyPanel filter={filter} />
      </Permitted>
    </>
  );
}

interface Props {
  filter: AuditFilter;
  onFilter: (filter: AuditFilter) => void;
}

function Entries({ filter, onFilter }: Props) {
  const { t } = useWords();
  const client = useQueryClient();
  const pages = usePages();
  const query = useQuery(auditLog(filter, pages.cursor));
  const [looked, setLooked] = useState<AuditEntry | null>(null);
  return (
    <Panel
      title={t('audit.title')}
      side={
        <Button
          size="compact-sm"
          variant="default"
          loading={query.isFetching}
          onClick={() => void client.invalidateQueries({ queryKey: ['audit'] })}
        >
          {t('audit.again')}
        </Button>
      }
    >
      <FilterForm filter={filter} onFilter={onFilter} />
      <Live query={query} polled={false}>
        {({ items, next_cursor }) => (
          <>
            {items.length === 0 ? (
              <Empty>{t(next_cursor ? 'audit.none.here' : 'audit.none')}</Empty>
            ) : (
              <Table
                caption={t('audit.title')}
                columns={[
                  { name: t('audit.number'), number: true },
                  { name: t('audit.at') },
                  { name: t('audit.actor') },
                  { name: t('audit.action') },
                  { name: t('audit.object') },
                  { name: t('audit.outcome') },
                  { name: t('audit.source') },
                ]}
              >
                {items.map((entry) => (
                  <EntryRow key={entry.sequence} entry={entry} onLook={() => setLooked(entry)} />
                ))}
              </Table>
            )}
            <Pager pages={pages} next={next_cursor} />
          </>
        )}
      </Live>
      {looked && <EntryDialogue entry={looked} onClose={() => setLooked(null)} />}
    </Panel>
  );
}

/** What the log may be asked for by name: all that this console has words for. */
const ACTIONS = Object.keys(en)
  .filter((key) => key.startsWith('auditAction.'))
  .map((key) => key.slice('auditAction.'.length))
  .sort();

function FilterForm({ filter, onFilter }: Props) {
  const { t, known } = useWords();
  const { fromField, toField } = useTimes();
  const [wanted, setWanted] = useState(filter);
  const set = (part: AuditFilter) => setWanted({ ...wanted, ...part });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onFilter(wanted);
  };
  const field = (name: 'from' | 'to') => (
    <TimeField
      size="xs"
      label={t(`audit.${name}`)}
      defaultValue={wanted[name] ? toField(Date.parse(wanted[name])) : ''}
      onChange={(event) => set({ [name]: fromField(event.currentTarget.value) ?? undefined })}
    />
  );
  const text = (name: 'actor' | 'object') => (
    <TextInput
      size="xs"
      label={t(`audit.${name}`)}
      placeholder={t(`audit.${name}.like`)}
      value={wanted[name] ?? ''}
      onChange={(event) => set({ [name]: event.currentTarget.value })}
      autoComplete="off"
      spellCheck={false}
    />
  );
  return (
    <form onSubmit={submit} className="audit-filter">
      {text('actor')}
      <Autocomplete
        size="xs"
        label={t('audit.action')}
        placeholder={t('audit.action.like')}
        value={wanted.action ?? ''}
        onChange={(action) => set({ action })}
        data={ACTIONS}
        renderOption={({ option }) => (
          <span>
            {known('auditAction', option.value)} <span className="quiet small mono">{option.value}</span>
          </span>
        )}
        limit={100}
        maxDropdownHeight={280}
      />
      {text('object')}
      <Select
        size="xs"
        label={t('audit.outcome')}
        placeholder={t('audit.any')}
        value={wanted.outcome ?? null}
        onChange={(next) => set({ outcome: OUTCOMES.find((known) => known === next) })}
        data={OUTCOMES.map((value) => ({ value, label: t(`auditOutcome.${value}`) }))}
        clearable
        clearButtonProps={{ 'aria-label': t('audit.any') }}
      />
      {field('from')}
      {field('to')}
      <Line gap={8}>
        <Button type="submit" size="xs">
          {t('audit.show')}
        </Button>
        <Button size="xs" variant="default" onClick={() => onFilter({})}>
          {t('audit.clear')}
        </Button>
      </Line>
    </form>
  );
}

function EntryRow({ entry, onLook }: { entry: AuditEntry; onLook: () => void }) {
  const { t, known } = useWords();
  return (
    <Row>
      <NumberCell>
        <button
          type="button"
          className="id"
          onClick={onLook}
          aria-label={t('audit.entry', { number: entry.sequence })}
        >
          {entry.sequence}
        </button>
      </NumberCell>
      <Cell>
        <Instant at={entry.at} />
      </Cell>
      <Cell>
        <span className="named">{entry.actor.name}</span>
        <div className="quiet small">{known('auditActor', entry.actor.kind) ?? entry.actor.kind}</div>
      </Cell>
      <Cell>
        {known('auditAction', entry.action)}
        <div className="quiet small mono">{entry.action}</div>
      </Cell>
      <Cell>
        {entry.object_kind && <span className="quiet small">{entry.object_kind} </span>}
        {entry.object && <span className="mono named">{entry.object}</span>}
      </Cell>
      <Cell>
        <Badge tone={outcomeTone(entry.outcome)}>
          {known('auditOutcome', entry.outcome) ?? entry.outcome}
        </Badge>
        {entry.count > 1 && <span className="quiet small"> × {entry.count}</span>}
        {entry.code && <div className="quiet small mono">{entry.code}</div>}
      </Cell>
      <Cell className="mono small">{entry.source}</Cell>
    </Row>
  );
}
