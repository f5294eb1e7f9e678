/** Who can sign in with a name and a password. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { users } from '../../api/queries';
import { useSession } from '../../api/signedIn';
import type { User } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { Permitted } from '../../parts/Permitted';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { useWords } from '../../words/words';
import { NewUserDialogue, RoleDialogue, UserPasswordDialogue } from '../dialogues/UserDialogues';
import { VerbDialogue } from '../dialogues/VerbDialogue';

type Verb = 'role' | 'disable' | 'enable' | 'password' | 'remove';
type Asked = { verb: 'create'; user: null } | { verb: Verb; user: User };

export function UsersPanel() {
  const { t } = useWords();
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <Panel
      title={t('users.title')}
      side={
        <GuardedButton
          operation="create_user"
          label={t('users.create')}
          size="compact-sm"
          onClick={() => setAsked({ verb: 'create', user: null })}
        />
      }
    >
      <Permitted operations={['list_users']}>
        <UserList onAsk={(verb, user) => setAsked({ verb, user })} />
      </Permitted>
      {asked && <Asking asked={asked} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

function UserList({ onAsk }: { onAsk: (verb: Verb, user: User) => void }) {
  const { t } = useWords();
  const { id: own } = useSession();
  const pages = usePages();
  const query = useQuery(users(pages.cursor));
  return (
    <Live query={query}>
      {({ items, next_cursor }) => (
        <>
          {items.length === 0 ? (
            <Empty>{t('users.none')}</Empty>
          ) : (
            <Table
              caption={t('users.title')}
              columns={[
                { name: t('users.name') },
                { name: t('access.role') },
                { name: t('users.state') },
                { name: t('users.created') },
                { name: t('users.password_set') },
                { name: t('points.do') },
              ]}
            >
              {items.map((user) => (
                <Row key={user.id}>
                  <Cell>
                    <span className="name">{user.name}</span>{' '}
                    {user.id === own && <Badge tone="plain">{t('access.you')}</Badge>}
                  </Cell>
                  <Cell>{t(`role.${user.role}`)}</Cell>
                  <Cell>
                    <Badge tone={user.disabled ? 'warn' : 'good'}>
                      {t(user.disabled ? 'users.disabled' : 'users.enabled')}
                    </Badge>
                  </Cell>
                  <Cell>
                    <Instant at={user.created_at} />
                  </Cell>
                  <Cell>
                    <Instant at={user.password_set_at} />
                  </Cell>
                  <Cell>
                    <div className="button-row step-do">
                      <GuardedButton
                        operation="change_user"
                        label={t('users.role')}
                        size="compact-xs"
                        onClick={() => onAsk('role', user)}
                      />
                      <GuardedButton
                        operation="set_user_password"
                        label={t('users.password')}
                        size="compact-xs"
                        onClick={() => onAsk('password', user)}
                      />
                      <GuardedButton
                        operation="change_user"
                        label={t(user.disabled ? 'users.enable' : 'users.disable')}
                        size="compact-xs"
                        onClick={() => onAsk(user.disabled ? 'enable' : 'disable', user)}
                      />
                      <GuardedButton
                        operation="remove_user"
                        label={t('users.remove')}
                        look="remove"
                        size="compact-xs"
                        onClick={() => onAsk('remove', user)}
                      />
                    </div>
                  </Cell>
                </Row>
              ))}
            </Table>
          )}
          <Pager pages={pages} next={next_cursor} />
        </>
      )}
    </Live>
  );
}

function Asking({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const { t } = useWords();
  const { id: own } = useSession();
  if (asked.verb === 'create') return <NewUserDialogue onClose={onClose} />;
  const { verb, user } = asked;
  const path = { user: user.id };
  const self = user.id === own ? [t('users.self')] : [];
  switch (verb) {
    case 'role':
      return <RoleDialogue user={user} onClose={onClose} />;
    case 'password':
      return <UserPasswordDialogue user={user} onClose={onClose} />;
    case 'enable':
    case 'disable':
      return (
        <VerbDialogue
          title={t(`users.${verb}.title`, { name: user.name })}
          verb={t(`users.${verb}`)}
          frame="none"
          lines={[t(`users.${verb}.what`), ...self]}
          send={() =>
            body(
              api.PATCH('/api/v1/users/{user}', { params: { path }, body: { disabled: verb === 'disable' } }),
            )
          }
          onClose={onClose}
        />
      );
    case 'remove':
      return (
        <VerbDialogue
          title={t('users.remove.title', { name: user.name })}
          verb={t('users.remove')}
          frame="none"
          lines={[t('users.remove.gone'), t('users.remove.kept'), ...self]}
          confirm={user.name}
          of="user"
          why={t('users.remove.why')}
          send={() => body(api.DELETE('/api/v1/users/{user}', { params: { path } }))}
          onClose={onClose}
        />
      );
  }
}
