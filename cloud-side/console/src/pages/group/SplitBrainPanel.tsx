/** Two sites may be taking writes: what is known, and the two ways out. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { placement as placementQuery } from '../../api/queries';
import type { Group, Site } from '../../api/types';
import { ActionButton, actionOf } from '../../parts/ActionButton';
import { Fact, Facts } from '../../parts/Facts';
import { Instant } from '../../parts/Instant';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { useWords } from '../../words/words';
import { KeepDialogue } from '../dialogues/KeepDialogue';

export function SplitBrainPanel({ group }: { group: Group }) {
  const { t, state } = useWords();
  const [keep, setKeep] = useState<Site | null>(null);
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
                    <Fact name={t('split.keeping')}>{t(`site.${placement.split_brain.keeping}`)}</Fact>
                  )}
                </>
              )}
              <Fact name={t('place.source')}>
                {placement.source ? state('serving', placement.source.serving) : t('place.source.silent')}
              </Fact>
              <Fact name={t('place.authority')}>{t(`site.${placement.authority}`)}</Fact>
            </Facts>
            <div className="button-row">
              <ActionButton
                action={actionOf(placement.allowed_actions, 'keep_source')}
                label={t('keep.source.do')}
                look="live"
                onClick={() => setKeep('source')}
              />
              <ActionButton
                action={actionOf(placement.allowed_actions, 'keep_target')}
                label={t('keep.target.do')}
                look="live"
                onClick={() => setKeep('target')}
              />
            </div>
            {keep && <KeepDialogue group={group} site={keep} onClose={() => setKeep(null)} />}
          </>
        )}
      </Live>
    </Panel>
  );
}
