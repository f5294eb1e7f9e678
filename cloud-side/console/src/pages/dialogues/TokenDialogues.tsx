/** Making a token, and its secret, which is shown once. */
import {
  Button,
  CopyButton,
  Group,
  Modal,
  MultiSelect,
  SegmentedControl,
  Stack,
  TextInput,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { serverNow } from '../../api/hearing';
import { groups as groupsQuery } from '../../api/queries';
import type { MadeToken, Role } from '../../api/types';
import { Dialogue } from '../../parts/Dialogue';
import { Fact, Facts } from '../../parts/Facts';
import { Instant } from '../../parts/Instant';
import { RoleField } from '../../parts/RoleField';
import { TimeField } from '../../parts/TimeField';
import { useTimes } from '../../parts/times';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

const DAY_MS = 86_400_000;
/** Days after which a token ends, as they are offered. */
const LENGTHS = [30, 90, 365];

interface NewProps {
  onMade: (made: MadeToken) => void;
  onClose: () => void;
}

export function NewTokenDialogue({ onMade, onClose }: NewProps) {
  const { t, wholeSpan } = useWords();
  const { fromField, toField } = useTimes();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [bound, setBound] = useState<string[]>([]);
  const { data: known } = useQuery(groupsQuery());
  const [length, setLength] = useState('90');
  const [time, setTime] = useState(() => toField(serverNow() + DAY_MS));
  const ends = (): string | null => {
    if (length === 'never') return null;
    if (length === 'time') return fromField(time);
    return new Date(serverNow() + Number(length) * DAY_MS).toISOString();
  };
  const wrong = length === 'time' && !(Date.parse(ends() ?? '') > serverNow());
  const wish = useWish(
    () =>
      body(
        api.POST('/api/v1/tokens', {
          body: {
            name: name.trim(),
            role,
            expires_at: ends(),
            groups: bound.length === 0 ? null : bound,
          },
        }),
      ),
    onMade,
  );
  return (
    <Dialogue
      title={t('tokens.create')}
      verb={t('tokens.create')}
      ready={name.trim() !== '' && !wrong}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('tokens.create.what')}</p>
      <TextInput
        label={t('tokens.name')}
        description={t('tokens.name.what')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        maxLength={128}
        autoComplete="off"
        data-autofocus
      />
      <RoleField value={role} onChange={setRole} />
      <MultiSelect
        label={t('tokens.groups')}
        description={t('tokens.groups.what')}
        data={(known ?? []).map((group) => group.name)}
        value={bound}
        onChange={setBound}
        placeholder={bound.length === 0 ? t('tokens.groups.all') : undefined}
        searchable
      />
      <div>
        <span className="field-name">{t('tokens.length')}</span>
        <SegmentedControl
          value={length}
          onChange={setLength}
          aria-label={t('tokens.length')}
          data={[
            ...LENGTHS.map((days) => ({ value: String(days), label: wholeSpan(days * 86_400) })),
            { value: 'time', label: t('tokens.length.time') },
            { value: 'never', label: t('access.never') },
          ]}
        />
      </div>
      {length === 'time' && (
        <TimeField
          label={t('tokens.length.field')}
          value={time}
          onChange={(event) => setTime(event.currentTarget.value)}
          error={wrong ? t('tokens.length.wrong') : undefined}
        />
      )}
    </Dialogue>
  );
}

/** It cannot be had again, so nothing but its button closes it. */
export function MadeTokenDialogue({ made, onClose }: { made: MadeToken; onClose: () => void }) {
  const { t } = useWords();
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={t('tokens.made')}
      withCloseButton={false}
      closeOnClickOutside={false}
      closeOnEscape={false}
      classNames={{ content: 'dialogue' }}
    >
      <Stack gap="md">
        <p>
          <strong>{t('tokens.made.once')}</strong>
        </p>
        <pre className="pem" data-secret>
          {made.token}
        </pre>
        <Facts>
          <Fact name={t('tokens.name')}>{made.name}</Fact>
          <Fact name={t('access.role')}>{t(`role.${made.role}`)}</Fact>
          <Fact name={t('tokens.groups')}>{made.groups?.join(', ') ?? t('tokens.groups.all')}</Fact>
          <Fact name={t('access.ends')}>
            {made.expires_at ? <Instant at={made.expires_at} /> : t('access.never')}
          </Fact>
        </Facts>
        <Group justify="flex-end">
          <CopyButton value={made.token}>
            {({ copied, copy }) => (
              <Button variant="default" onClick={copy}>
                {t(copied ? 'common.copied' : 'tokens.made.copy')}
              </Button>
            )}
          </CopyButton>
          <Button onClick={onClose}>{t('tokens.made.kept')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
