/**
 * What a query brought, with its age told. Before the first answer a skeleton; a failure without data is a
 * problem; a failure with data keeps the data, marked as what it is: from then, not from now.
 */
import { Skeleton, Stack } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { currentHearing } from '../api/hearing';
import { useWords } from '../words/words';
import { useNow } from './now';
import { ProblemNotice } from './ProblemNotice';
import { StalenessContext, staleSince } from './staleness';

interface Props<T> {
  query: Pick<UseQueryResult<T>, 'data' | 'error' | 'dataUpdatedAt'>;
  /** False for what is read once and never changes, such as a signed report. */
  polled?: boolean;
  children: (data: T) => ReactNode;
}

export function Live<T>({ query, polled = true, children }: Props<T>) {
  const { t, span } = useWords();
  const now = useNow() - currentHearing().offset;
  const { data, error, dataUpdatedAt } = query;
  if (data === undefined) {
    if (error) return <ProblemNotice error={error} />;
    return (
      <Stack gap="sm" role="status" aria-busy="true" aria-label={t('live.loading')}>
        <Skeleton height={20} width="40%" />
        <Skeleton height={80} />
        <Skeleton height={80} />
      </Stack>
    );
  }
  const since = staleSince(dataUpdatedAt, now, polled);
  return (
    <StalenessContext value={{ staleSince: since }}>
      {since !== null && (
        <div className="stale-note" role="status">
          <strong>{t('live.stale', { age: span((now - since) / 1000) })}</strong>
          {error && <ProblemNotice error={error} compact />}
        </div>
      )}
      {/* What is not polled does not grow old, but reading it again may have failed. */}
      {since === null && !polled && error && <ProblemNotice error={error} compact />}
      <div className={since === null ? 'live' : 'live is-stale'}>{children(data)}</div>
    </StalenessContext>
  );
}
