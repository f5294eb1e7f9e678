/** Making users, and changing their roles and passwords. */
import { PasswordInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { changePassword } from '../../api/session';
import { useSession } from '../../api/signedIn';
import type { Role, User } from '../../api/types';
import { Dialogue } from '../../parts/Dialogue';
import { isSet, NO_PASSWORD, PasswordFields } from '../../parts/PasswordFields';
import { RoleField } from '../../parts/RoleField';
import { useWish } from '../../parts/useWish';
import { isName } from '../../states/access';
import { useWords } from '../../words/words';

export function NewUserDialogue({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [password, setPassword] = useState(NO_PASSWORD);
  const wish = useWish(
    () => body(api.POST('/api/v1/users', { body: { name, role, password: password.password } })),
    onClose,
  );
  return (
    <Dialogue
      title={t('users.create')}
      verb={t('users.create')}
      ready={isName(name) && isSet(password, name)}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <TextInput
        label={t('users.name')}
        description={t('users.name.what')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value.trim())}
        error={name !== '' && !isName(name) ? t('users.name.wrong') : undefined}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
      <RoleField value={role} onChange={setRole} />
      <PasswordFields name={name} value={password} onChange={setPassword} />
    </Dialogue>
  );
}

interface Props {
  user: User;
  onClose: () => void;
}

export function RoleDialogue({ user, onClose }: Props) {
  const { t } = useWords();
  const { id: own } = useSession();
  const [role, setRole] = useState<Role>(user.role);
  const wish = useWish(
    () => body(api.PATCH('/api/v1/users/{user}', { params: { path: { user: user.id } }, body: { role } })),
    onClose,
  );
  return (
    <Dialogue
      title={t('users.role.title', { name: user.name })}
      verb={t('users.role')}
      ready={role !== user.role}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('users.role.what')}</p>
      {user.id === own && <p>{t('users.self')}</p>}
      <RoleField value={role} onChange={setRole} />
    </Dialogue>
  );
}

export function UserPasswordDialogue({ user, onClose }: Props) {
  const { t } = useWords();
  const { id: own } = useSession();
  const [password, setPassword] = useState(NO_PASSWORD);
  const wish = useWish(
    () =>
      body(
        api.PUT('/api/v1/users/{user}/password', {
          params: { path: { user: user.id } },
          body: { password: password.password },
        }),
      ),
    onClose,
  );
  return (
    <Dialogue
      title={t('users.password.title', { name: user.name })}
      verb={t('users.password')}
      ready={isSet(password, user.name)}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('users.password.what')}</p>
      {user.id === own && <p>{t('users.self')}</p>}
      <PasswordFields name={user.name} value={password} onChange={setPassword} />
    </Dialogue>
  );
}

export function OwnPasswordDialogue({ onClose }: { onClose: () => void }) {
  const { t } = useWords();
  const { name } = useSession();
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState(NO_PASSWORD);
  const wish = useWish(() => changePassword(current, password.password), onClose);
  return (
    <Dialogue
      title={t('access.own.password')}
      verb={t('access.own.password')}
      ready={current !== '' && isSet(password, name)}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <p>{t('access.own.password.what')}</p>
      <PasswordInput
        label={t('access.own.current')}
        value={current}
        onChange={(event) => setCurrent(event.currentTarget.value)}
        autoComplete="current-password"
        data-autofocus
      />
      <PasswordFields name={name} value={password} onChange={setPassword} />
    </Dialogue>
  );
}
