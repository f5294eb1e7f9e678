/** What programs, and the command line, use the API with. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { tokens } from '../../api/queries';
import { useSession } from '../../api/signedIn';
import type { MadeToken, Token } from '../../api/types';
import { Empty } from '../../parts/Empty';
import { GuardedButton } from '../../parts/GuardedButton';
import { Id } from '../../parts/Id';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { useNow } from '../../parts/now';
import { Pager } from '../../parts/Pager';
import { Panel } from '../../parts/Panel';
import { Permitted } from '../../parts/Permitted';
import { Badge } from '../../parts/StateBadge';
import { Cell, Row, Table } from '../../parts/Table';
import { usePages } from '../../parts/usePages';
import { hasEnded } from '../../states/access';
import { useWords } from '../../words/words';
import { MadeTokenDialogue, NewTokenDialogue } from '../dialogues/TokenDialogues';
import { VerbDialogue } from '../dialogues/VerbDialogue';

export function TokensPanel() {
  const { t } = useWords();
  const { id: own } = useSession();
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<MadeToken | null>(null);
  const [revoked, setRevoked] = useState<Token | null>(null);
  return (
    <Panel
      title={t('tokens.title')}
      side={
        <GuardedButton
          operation="create_token"
          label={t('tokens.create')}
          size="compact-sm"
          onClick={() => setCreating(true)}
        />
      }
    >
      <p className="quiet">{t('tokens.what')}</p>
      <Permitted operations={['list_tokens']}>
        <TokenList onRevoke={setRevoked} />
      </Permitted>
      {creating && (
        <NewTokenDialogue
          onMade={(token) => {
            setCreating(false);
            setMade(token);
          }}
          onClose={() => setCreating(false)}
        />
      )}
      {made && <MadeTokenDialogue made={made} onClose={() => setMade(null)} />}
      {revoked && (
        <VerbDialogue
          title={t('tokens.revoke.title', { name: revoked.name })}
          verb={t('tokens.revoke')}
          frame="none"
          lines={[t('tokens.revoke.what'), ...(revoked.id === own ? [t('tokens.revoke.self')] : [])]}
          send={() => body(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id: revoked.id } } }))}
          onClose={() => setRevoked(null)}
        />
      )}
    </Panel>
  );
}

function TokenList({ onRevoke }: { onRevoke: (token: Token) => void }) {
  const { t } = useWords();
  const { id: own } = useSession();
  const now = useNow();
  const pages = usePages();
  const query = useQuery(tokens(pages.cursor));
  return (
    <Live query={query}>
      {({ items, next_cursor }) => (
        <>
          {items.length === 0 ? (
            <Empty>{t('tokens.none')}</Empty>
          ) : (
            <Table
              caption={t('tokens.title')}
              columns={[
                { name: t('tokens.name') },
                { name: t('access.role') },
                { name: t('tokens.groups') },
                { name: t('users.created') },
                { name: t('access.ends') },
                { name: t('access.id') },
                { name: t('points.do') },
              ]}
            >
              {items.map((token) => (
                <Row key={token.id}>
                  <Cell>
                    <span className="name named">{token.name}</span>{' '}
                    {token.id === own && <Badge tone="plain">{t('tokens.own')}</Badge>}
                  </Cell>
                  <Cell>{t(`role.${token.role}`)}</Cell>
                  <Cell>
                    {token.groups?.join(', ') ?? <span className="quiet">{t('tokens.groups.all')}</span>}
                  </Cell>
                  <Cell>
                    <Instant at={token.created_at} />
                  </Cell>
                  <Cell>
                    {token.expires_at ? (
                      <Instant at={token.expires_at} age />
                    ) : (
                      <span className="quiet">{t('access.never')}</span>
                    )}
                    {hasEnded(token, now) && <Badge tone="plain">{t('tokens.ended')}</Badge>}
                  </Cell>
                  <Cell>
                    <Id value={token.id} />
                  </Cell>
                  <Cell>
                    <GuardedButton
                      operation="revoke_token"
                      label={t('tokens.revoke')}
                      look="remove"
                      size="compact-xs"
                      onClick={() => onRevoke(token)}
                    />
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
