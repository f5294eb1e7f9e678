/** Whether anybody is told of alerts: a line, since how is a matter of the settings. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { alertChannels } from '../../api/queries';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { Badge } from '../../parts/StateBadge';
import { channelsStand } from '../../states/alerts';
import { useWords } from '../../words/words';

const TONES = { none: 'warn', failing: 'bad', unproven: 'unknown', working: 'good' } as const;

export function ToldBy() {
  const { t } = useWords();
  const query = useQuery(alertChannels());
  return (
    <Panel title={t('channels.title')} side={<Link to="/settings">{t('channels.settings')}</Link>}>
      <Live query={query}>
        {({ items }) => {
          const { state, count } = channelsStand(items);
          return (
            <p>
              <Badge tone={TONES[state]}>{t(`channels.stand.${state}`)}</Badge>{' '}
              {state === 'none'
                ? t('channels.none')
                : t('channels.stand.count', { count, all: items.length })}
            </p>
          );
        }}
      </Live>
    </Panel>
  );
}
