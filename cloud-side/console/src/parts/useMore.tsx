/** A long list that is shown in part, so that a page stays quick: the first of it, and more when they are asked for. */
import { Button } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useWords } from '../words/words';

const AT_ONCE = 100;

interface More<Item> {
  shown: Item[];
  /** The button for more; nothing when all are shown. */
  more: ReactNode;
}

export function useMore<Item>(items: Item[]): More<Item> {
  const { t } = useWords();
  const [most, setMost] = useState(AT_ONCE);
  const shown = items.slice(0, most);
  return {
    shown,
    more:
      shown.length < items.length ? (
        <p className="more">
          <span className="quiet">{t('more.shown', { shown: shown.length, count: items.length })}</span>{' '}
          <Button size="compact-sm" variant="default" onClick={() => setMost(most + AT_ONCE)}>
            {t('more.do')}
          </Button>
        </p>
      ) : null,
  };
}
