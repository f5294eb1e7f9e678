/** When the API was heard last. It is on every page, and becomes a banner when the API is silent. */
import { useHearing } from '../api/hearing';
import { useWords } from '../words/words';
import { useNow } from './now';
import { STALE_AFTER_MS } from './staleness';

export function Freshness() {
  const { t, wholeSpan } = useWords();
  const { heardAt, silentSince, offset } = useHearing();
  const now = useNow() - offset;
  if (heardAt === null) return <span className="freshness quiet">{t('fresh.none')}</span>;
  const age = Math.max(0, (now - heardAt) / 1000);
  const late = silentSince !== null || age * 1000 > STALE_AFTER_MS;
  return (
    <span className="freshness number" data-late={late || undefined}>
      <span className="pulse" aria-hidden="true" />
      {t('fresh.heard', { span: wholeSpan(age) })}
    </span>
  );
}

export function SilenceBanner() {
  const { t, span } = useWords();
  const { heardAt, silentSince, offset } = useHearing();
  const now = useNow() - offset;
  if (silentSince === null) return null;
  return (
    <div className="silence" role="alert">
      <strong>
        {t('fresh.silent', { span: span(Math.max(0, Math.floor((now - (heardAt ?? silentSince)) / 1000))) })}
      </strong>{' '}
      {t('fresh.silent.meaning')}
    </div>
  );
}
