/** Why a group is not well, and what to do about each reason. */
import type { Group } from '../api/types';
import { useWords } from '../words/words';
import { Served } from './Served';

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
