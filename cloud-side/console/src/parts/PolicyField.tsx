/** What happens when nobody decides. */
import { SegmentedControl, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { CommitPolicy } from '../api/types';
import { parseSpan } from '../format/spans';
import { useWords } from '../words/words';

interface Props {
  /** Null while what was typed is no policy. */
  onChange: (policy: CommitPolicy | null) => void;
}

type Way = 'manual' | 'auto_commit' | 'auto_rollback';

/** One minute to 30 days, as the API takes it. */
export function policyOf(way: Way, text: string): CommitPolicy | null {
  if (way === 'manual') return 'manual';
  const seconds = parseSpan(text);
  if (seconds === null || seconds < 60 || seconds > 30 * 86_400) return null;
  return way === 'auto_commit'
    ? { auto_commit: { after_seconds: seconds } }
    : { auto_rollback: { after_seconds: seconds } };
}

export function PolicyField({ onChange }: Props) {
  const { t } = useWords();
  const [way, setWay] = useState<Way>('manual');
  const [after, setAfter] = useState('2h');
  const change = (nextWay: Way, nextAfter: string) => {
    setWay(nextWay);
    setAfter(nextAfter);
    onChange(policyOf(nextWay, nextAfter));
  };
  const wrong = policyOf(way, after) === null;
  return (
    <Stack gap="xs">
      <span className="field-name">{t('policy.title')}</span>
      <SegmentedControl
        value={way}
        onChange={(next) => change(next as Way, after)}
        aria-label={t('policy.title')}
        data={[
          { value: 'manual', label: t('policy.manual') },
          { value: 'auto_commit', label: t('policy.auto_commit') },
          { value: 'auto_rollback', label: t('policy.auto_rollback') },
        ]}
      />
      {way !== 'manual' && (
        <TextInput
          label={t('policy.after')}
          description={t(way === 'auto_commit' ? 'policy.auto_commit.what' : 'policy.auto_rollback.what')}
          value={after}
          onChange={(event) => change(way, event.currentTarget.value)}
          error={wrong ? t('policy.wrong') : undefined}
        />
      )}
    </Stack>
  );
}

/** A policy in words. */
export function PolicyWords({ policy }: { policy: CommitPolicy }) {
  const { t, span } = useWords();
  if (policy === 'manual') return t('policy.manual.words');
  if ('auto_commit' in policy) {
    return t('policy.auto_commit.words', { span: span(policy.auto_commit.after_seconds) });
  }
  return t('policy.auto_rollback.words', { span: span(policy.auto_rollback.after_seconds) });
}
