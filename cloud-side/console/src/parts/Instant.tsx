/** An instant in the zone that was chosen; UTC to the millisecond when one points at it. */
import { utc } from '../format/instants';
import { useWords } from '../words/words';
import { useNow } from './now';
import { useTimes } from './times';

interface Props {
  at: string | null | undefined;
  /** Its age too, which ticks. */
  age?: boolean;
}

export function Instant({ at, age = false }: Props) {
  const { t } = useWords();
  const { shown } = useTimes();
  if (!at) return <span className="quiet">{t('common.none')}</span>;
  const time = Date.parse(at);
  return (
    <time className="instant" dateTime={at} title={`${utc(time)} (UTC)`}>
      <span className="instant-time">{shown(time)}</span>
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
