/** Who is signed in, what that allows, when it ends, and the own password. */
import { useState } from 'react';
import { useSession } from '../../api/signedIn';
import { Fact, Facts } from '../../parts/Facts';
import { GuardedButton } from '../../parts/GuardedButton';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { useWords } from '../../words/words';
import { OwnPasswordDialogue } from '../dialogues/UserDialogues';

export function OwnPanel() {
  const { t } = useWords();
  const session = useSession();
  const [changing, setChanging] = useState(false);
  return (
    <Panel
      title={t('access.own')}
      side={
        <GuardedButton
          operation="change_own_password"
          label={t('access.own.password')}
          size="compact-sm"
          refused={session.kind === 'user' ? null : { why: t('access.own.token') }}
          onClick={() => setChanging(true)}
        />
      }
    >
      <Facts>
        <Fact name={t(`access.kind.${session.kind}`)}>{session.name}</Fact>
        <Fact name={t('access.role')}>{t(`role.${session.role}`)}</Fact>
        <Fact name={t('access.ends')}>
          {session.expires_at ? (
            <Instant at={session.expires_at} age />
          ) : (
            <span className="quiet">{t('access.never')}</span>
          )}
        </Fact>
        <Fact name={t('access.id')}>
          <Id value={session.id} whole />
        </Fact>
      </Facts>
      <p>
        <span className="quiet">{t('access.may')}</span>{' '}
        {session.allowed_actions.map((may) => t(`permission.${may}`)).join(t('access.and'))}
      </p>
      {changing && <OwnPasswordDialogue onClose={() => setChanging(false)} />}
    </Panel>
  );
}
