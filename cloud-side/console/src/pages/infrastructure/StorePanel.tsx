/** The space of the replica store, and what is left of it until new data is refused. */
import type { System } from '../../api/types';
import { Bytes } from '../../parts/Bytes';
import { Fact, Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { Badge } from '../../parts/StateBadge';
import { useWords } from '../../words/words';

export function StorePanel({ space }: { space: System['space'] }) {
  const { t } = useWords();
  return (
    <Panel
      title={t('system.space')}
      side={
        <Badge tone={space.below_floor ? 'bad' : 'good'}>
          {t(space.below_floor ? 'system.space.refusing' : 'system.space.taking')}
        </Badge>
      }
    >
      <progress
        value={space.total_bytes - space.available_bytes}
        max={Math.max(1, space.total_bytes)}
        aria-label={t('system.space')}
      />
      <Facts>
        <Fact name={t('system.space.total')}>
          <Bytes value={space.total_bytes} />
        </Fact>
        <Fact name={t('system.space.free')}>
          <Bytes value={space.available_bytes} />
        </Fact>
        <Fact name={t('system.space.floor')}>
          <Bytes value={space.floor_bytes} />
        </Fact>
        <Fact name={t('system.space.left')}>
          <Bytes value={Math.max(0, space.available_bytes - space.floor_bytes)} />
        </Fact>
      </Facts>
    </Panel>
  );
}
