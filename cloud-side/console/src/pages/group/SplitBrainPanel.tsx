/** Two sites may be taking writes: what is known, and the two ways out. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, body } from '../../api/client';
import { placement as placementQuery } from '../../api/queries';
import type { Group, Site } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Fact, Facts } from '../../parts/Facts';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { StateBadge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';
import { KeepDialogue } from '../dialogues/KeepDialogue';
import { VerbDialogue } from '../dialogues/VerbDialogue';
import { FailureNotice } from '../move/FailureNotice';

export function SplitBrainPanel({ group }: { group: Group }) {
  const { t, state } = useWords();
  const [keep, setKeep] = useState<Site | null>(null);
  const [retrying, setRetrying] = useState(false);
  const suspected = group.placement === 'split_brain_suspected';
  // Keeping a site is also the way on from a way back whose proof cannot be had.
  const may = (verb: string) => actionOf(group.allowed_actions, verb)?.allowed === true;
  const shown = suspected || may('keep_source') || may('keep_target');
  const query = useQuery({ ...placementQuery(group.name), enabled: shown });
  if (!shown) return null;
  return (
    <Panel title={t(suspected ? 'split.title' : 'split.blocked')} frame="live">
      <Live query={query}>
        {(placement) => (
          <>
            <p>{t(suspected ? 'split.what' : 'split.blocked.what')}</p>
            <Facts>
              {placement.split_brain && (
                <>
                  <Fact name={t('split.reason')}>{t(`split.reason.${placement.split_brain.reason}`)}</Fact>
                  <Fact name={t('split.since')}>
                    <Instant at={placement.split_brain.since} age />
                  </Fact>
                  <Fact name={t('split.generations')}>
                    <span className="number">
                      {placement.split_brain.source_generation} / {placement.generation}
                    </span>
                  </Fact>
                  {placement.split_brain.keeping && (
                    <Fact name={t('split.keeping')}>
                      {t(`site.${placement.split_brain.keeping.site}`)} ·{' '}
                      {t(`step.${placement.split_brain.keeping.step}`)}{' '}
                      <StateBadge kind="stage" value={placement.split_brain.keeping.stage} />
                    </Fact>
                  )}
                </>
              )}
              <Fact name={t('place.source')}>
                {placement.source ? state('serving', placement.source.serving) : t('place.source.silent')}
              </Fact>
              <Fact name={t('place.authority')}>{t(`site.${placement.authority}`)}</Fact>
            </Facts>
            {placement.split_brain?.keeping?.failure && (
              <FailureNotice
                failure={placement.split_brain.keeping.failure}
                how={placement.split_brain.keeping.stage === 'blocked' ? 'blocked' : 'last'}
              />
            )}
            <div className="button-row">
              {placement.split_brain?.keeping?.stage === 'blocked' && (
                <ActionButton
                  action={actionOf(placement.allowed_actions, 'retry')}
                  operation="retry_placement"
                  label={t('verb.retry')}
                  look="main"
                  onClick={() => setRetrying(true)}
                />
              )}
              <ActionButton
                action={actionOf(placement.allowed_actions, 'keep_source')}
                operation="keep_source"
                label={t('keep.source.do')}
                look="live"
                onClick={() => setKeep('source')}
              />
              <ActionButton
                action={actionOf(placement.allowed_actions, 'keep_target')}
                operation="keep_target"
                label={t('keep.target.do')}
                look="live"
                onClick={() => setKeep('target')}
              />
            </div>
            {retrying && (
              <VerbDialogue
                title={t('keep.retry.title', { group: group.name })}
                verb={t('verb.retry')}
                lines={[t('keep.retry.what')]}
                send={() =>
                  body(
                    api.POST('/api/v1/groups/{group}/placement/actions/retry', {
                      params: { path: { group: group.name } },
                    }),
                  )
                }
                onClose={() => setRetrying(false)}
              />
            )}
            {keep && <KeepDialogue group={group} site={keep} onClose={() => setKeep(null)} />}
          </>
        )}
      </Live>
    </Panel>
  );
}
