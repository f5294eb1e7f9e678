/**
 * A button for one of the API's `allowed_actions`. What is not allowed stays visible and says why and what would
 * make it allowed; it can be reached by the keyboard, so that the reason can be read without a mouse.
 */
import { Button, Tooltip } from '@mantine/core';
import { useId } from 'react';
import type { Action } from '../api/types';
import { useWords } from '../words/words';
import { useStale } from './staleness';

interface Props {
  /** From the object's list; absent when the API does not know the verb. */
  action: Action | undefined;
  label: string;
  onClick: () => void;
  look?: 'main' | 'plain' | 'live' | 'test';
}

const LOOKS = {
  main: { variant: 'filled' },
  plain: { variant: 'default' },
  live: { variant: 'outline', color: 'red' },
  test: { variant: 'outline', color: 'blue' },
} as const;

export function actionOf(actions: Action[], name: string): Action | undefined {
  return actions.find((action) => action.name === name);
}

export function ActionButton({ action, label, onClick, look = 'plain' }: Props) {
  const { t } = useWords();
  const stale = useStale();
  const id = useId();
  if (!action) return null;
  const why = stale ? t('action.stale') : action.allowed ? null : (action.reason ?? t('action.refused'));
  if (why === null) {
    return (
      <Button {...LOOKS[look]} onClick={onClick}>
        {label}
      </Button>
    );
  }
  const remedy = stale ? null : action.remedy;
  return (
    <>
      <Tooltip
        multiline
        w={320}
        events={{ hover: true, focus: true, touch: true }}
        label={
          <span lang={stale ? undefined : 'en'}>
            {why}
            {remedy ? `. ${t('problem.remedy')} ${remedy}` : ''}
          </span>
        }
      >
        <Button
          variant="default"
          data-disabled
          aria-disabled
          aria-describedby={id}
          onClick={(event) => event.preventDefault()}
        >
          {label}
        </Button>
      </Tooltip>
      {/* Beside the button: inside it would be part of its name. */}
      <span id={id} hidden>
        {why} {remedy}
      </span>
    </>
  );
}
