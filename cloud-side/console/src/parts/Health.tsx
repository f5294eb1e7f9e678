/** How well a group is, why, and what to do about each reason. */
import type { Group } from '../api/types';
import { isWell, within } from '../states/answer';
import { tone } from '../states/tones';
import { useWords } from '../words/words';
import { Served } from './Served';
import { Badge } from './StateBadge';

/** Its health. Where nothing is wrong with the stream but production is not protected by it, that is what is said. */
export function HealthBadge({ group }: { group: Group }) {
  const { t, state } = useWords();
  const { level } = group.health;
  const colour = within(group, tone('health', level));
  if (level !== 'ok' || isWell(group)) return <Badge tone={colour}>{state('health', level)}</Badge>;
  return (
    <Badge tone={colour}>
      {colour === 'unknown' ? state('health', 'unknown') : t('health.not_protected')}
    </Badge>
  );
}

/** What its replication does; it is green only where it protects production. */
export function ReplicationBadge({ group }: { group: Group }) {
  const { state } = useWords();
  const { state: value } = group.replication;
  return <Badge tone={within(group, tone('replication', value))}>{state('replication', value)}</Badge>;
}

export function HealthReasons({ health }: { health: Group['health'] }) {
  const { t, known } = useWords();
  if (health.reasons.length === 0) return null;
  return (
    <ul className="reasons">
      {health.reasons.map((reason) => {
        const title = known('health', reason.code);
        const remedy = known('health.remedy', reason.code);
        return (
          <li key={reason.code}>
            <strong>{title ?? reason.code}</strong>
            <div>
              <Served>{reason.detail}</Served>
            </div>
            {remedy && (
              <div>
                <span className="quiet">{t('problem.remedy')}</span> {remedy}
              </div>
            )}
          </li>
        );
      })}
    </ul>
  );
}
