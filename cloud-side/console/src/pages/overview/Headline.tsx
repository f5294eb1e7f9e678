/** Replication and readiness side by side: that data arrives does not say that anything would come up from it. */
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Group } from '../../api/types';
import { Age } from '../../parts/Instant';
import { Panel } from '../../parts/Panel';
import { useStale } from '../../parts/staleness';
import { ageOf, proof, standing } from '../../states/overview';
import type { Tone } from '../../states/tones';
import { type Key, useWords } from '../../words/words';

export function Headline({ all }: { all: Group[] }) {
  const { t, span } = useWords();
  const now = standing(all);
  const proved = proof(all);
  const ages = all.map(ageOf).filter(Number.isFinite);
  const blind = all.length - ages.length;
  const worst = ages.length === 0 ? null : Math.max(...ages);
  const replicationTone: Tone =
    now.bad > 0 ? 'bad' : now.unknown > 0 ? 'unknown' : now.away + now.partly > 0 ? 'warn' : 'good';
  const readinessTone: Tone = proved.notReady > 0 ? 'bad' : proved.proven < proved.total ? 'warn' : 'good';
  return (
    <div className="columns">
      <Panel title={t('overview.replication')} side={<Link to="/groups">{t('overview.groups')}</Link>}>
        <Big
          tone={replicationTone}
          value={`${now.protectedNow} / ${now.total}`}
          name={t('overview.protected')}
        />
        <Counts
          counts={[
            ['overview.bad', now.bad, 'bad'],
            ['overview.away', now.away, 'warn'],
            ['overview.partly', now.partly, 'warn'],
            ['overview.unknown', now.unknown, 'unknown'],
          ]}
        />
        <p className="small">
          <span className="quiet">{t(blind ? 'overview.age.blind' : 'overview.age', { count: blind })}</span>{' '}
          <strong className="number">{worst === null ? t('common.unknown') : span(worst)}</strong>
        </p>
      </Panel>
      <Panel title={t('overview.readiness')} side={<Link to="/drills">{t('nav.drills')}</Link>}>
        <Big tone={readinessTone} value={`${proved.proven} / ${proved.total}`} name={t('overview.proven')} />
        <Counts
          counts={[
            ['overview.not_ready', proved.notReady, 'bad'],
            ['overview.overdue', proved.overdue, 'warn'],
            ['overview.never', proved.never, 'warn'],
            ['overview.ready', proved.ready, 'plain'],
          ]}
        />
        <p className="small">
          <span className="quiet">{t('overview.oldest')}</span>{' '}
          {proved.oldest ? <Age at={proved.oldest} /> : t('groups.drill.never')}
        </p>
      </Panel>
    </div>
  );
}

function Big({ tone, value, name }: { tone: Tone; value: string; name: string }) {
  const stale = useStale();
  return (
    <div className="headline" data-tone={stale ? 'unknown' : tone}>
      <span className="headline-value number">{value}</span> <span>{name}</span>
    </div>
  );
}

/** What is none of it is not shown: a row of noughts hides the one that is none. */
function Counts({ counts }: { counts: [name: Key, count: number, tone: Tone][] }) {
  const { t } = useWords();
  const stale = useStale();
  const shown: ReactNode[] = counts
    .filter(([, count]) => count > 0)
    .map(([name, count, tone]) => (
      <li key={name} className="headline-count" data-tone={stale ? 'unknown' : tone}>
        <strong className="number">{count}</strong> {t(name)}
      </li>
    ));
  return shown.length === 0 ? null : <ul className="headline-counts">{shown}</ul>;
}
