import { Button, Group } from '@mantine/core';
import { useWords } from '../words/words';
import type { Pages } from './usePages';

/** Newer and older pages of a list. Nothing when there is one only. */
export function Pager({ pages, next }: { pages: Pages; next: string | null | undefined }) {
  const { t } = useWords();
  if (pages.number === 1 && !next) return null;
  return (
    <Group gap="xs" className="pager">
      <Button size="xs" variant="default" disabled={pages.number === 1} onClick={pages.first}>
        {t('pager.first')}
      </Button>
      <Button size="xs" variant="default" disabled={pages.number === 1} onClick={pages.back}>
        {t('pager.newer')}
      </Button>
      <span className="number quiet">{t('pager.page', { number: pages.number })}</span>
      <Button size="xs" variant="default" disabled={!next} onClick={() => next && pages.next(next)}>
        {t('pager.older')}
      </Button>
    </Group>
  );
}
