/** An instant in the browser's zone; UTC to the millisecond when one points at it. */
import { local, utc } from '../format/instants';
import { useWords } from '../words/words';
import { useNow } from './now';

interface Props {
  at: string | null | undefined;
  /** Its age too, which ticks. */
  age?: boolean;
}

export function Instant({ at, age = false }: Props) {
  const { t, language } = useWords();
  if (!at) return <span className="quiet">{t('common.none')}</span>;
  const time = Date.parse(at);
  return (
    <time className="instant" dateTime={at} title={`${utc(time)} (UTC)`}>
      <span className="instant-time">{local(time, language)}</span>
      {age && <Age at={at} plain />}
    </time>
  );
}

/** How long ago, or in how long. */
export function Age({ at, plain = false }: { at: string; plain?: boolean }) {
  const { t, wholeSpan } = useWords();
  const seconds = (useNow() - Date.parse(at)) / 1000;
  const future = seconds < -1;
  // Whole seconds: it ticks once a second, and tenths would only jitter.
  const length = wholeSpan(Math.max(1, Math.abs(seconds)));
  const text = future ? t('age.in', { span: length }) : t('age.ago', { span: length });
  if (plain) return <span className="quiet"> · {text}</span>;
  return (
    <time dateTime={at} title={`${utc(Date.parse(at))} (UTC)`}>
      {text}
    </time>
  );
}
