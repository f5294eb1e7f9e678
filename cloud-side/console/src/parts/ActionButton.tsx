/** A button for one of the API's `allowed_actions`: what the object's state does not allow is refused with its reason. */
import type { Operation } from '../api/access';
import type { Action } from '../api/types';
import { useWords } from '../words/words';
import { GuardedButton } from './GuardedButton';

interface Props {
  /** From the object's list; absent when the API does not know the verb. */
  action: Action | undefined;
  /** What the verb asks the API for. */
  operation: Operation | readonly Operation[];
  label: string;
  onClick: () => void;
  look?: 'main' | 'plain' | 'live' | 'test';
  size?: 'compact-xs' | 'compact-sm';
}

export function actionOf(actions: Action[], name: string): Action | undefined {
  return actions.find((action) => action.name === name);
}

export function ActionButton({ action, ...button }: Props) {
  const { t } = useWords();
  if (!action) return null;
  const refused = action.allowed
    ? null
    : action.reason
      ? { why: action.reason, remedy: action.remedy, served: true }
      : { why: t('action.refused') };
  return <GuardedButton {...button} refused={refused} />;
}
