/** Who is signed in, until when, and the own password. What that allows is on the page of users and tokens. */
import { useState } from 'react';
import { Link } from 'react-router';
import { useSession } from '../../api/signedIn';
import { Fact, Facts } from '../../parts/Facts';
import { GuardedButton } from '../../parts/GuardedButton';
import { Instant } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { useWords } from '../../words/words';
import { OwnPasswordDialogue } from '../dialogues/UserDialogues';

export function YouPanel() {
  const { t } = useWords();
  const session = useSession();
  const [changing, setChanging] = useState(false);
  return (
    <Panel title={t('access.own')}>
      <Facts>
        <Fact name={t(`access.kind.${session.kind}`)}>{session.name}</Fact>
        <Fact name={t('access.role')}>{t(`role.${session.role}`)}</Fact>
        <Fact name={t('settings.session')}>
          {session.expires_at ? (
            <Instant at={session.expires_at} age />
          ) : (
            <span className="quiet">{t('access.never')}</span>
          )}
        </Fact>
      </Facts>
      <div className="button-row">
        <GuardedButton
          operation="change_own_password"
          label={t('access.own.password')}
          size="compact-sm"
          refused={session.kind === 'user' ? null : { why: t('access.own.token') }}
          onClick={() => setChanging(true)}
        />
      </div>
      <p>
        <Link to="/access">{t('settings.access')}</Link>
      </p>
      {changing && <OwnPasswordDialogue onClose={() => setChanging(false)} />}
    </Panel>
  );
}
