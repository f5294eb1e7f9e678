/** As `ActionButton`, in a menu: the reason stands under the words, since an item that is refused has no tooltip. */
import { Menu } from '@mantine/core';
import type { Operation } from '../api/access';
import type { Action } from '../api/types';
import { useWords } from '../words/words';
import { Served } from './Served';
import { useStale } from './staleness';
import { useRefusal } from './useRefusal';

interface Props {
  action: Action | undefined;
  operation: Operation;
  label: string;
  look?: 'plain' | 'live';
  onClick: () => void;
}

export function ActionItem({ action, operation, label, look = 'plain', onClick }: Props) {
  const { t } = useWords();
  const stale = useStale();
  const role = useRefusal()(operation);
  if (!action) return null;
  const why = role ?? (stale ? t('action.stale') : action.allowed ? null : t('action.refused'));
  return (
    <Menu.Item
      color={look === 'live' && why === null ? 'red' : undefined}
      disabled={why !== null}
      onClick={onClick}
    >
      {label}
      {why !== null && (
        <div className="small item-why">
          {role === null && !stale && action.reason ? <Served>{action.reason}</Served> : why}
        </div>
      )}
    </Menu.Item>
  );
}
