/**
 * What is left until something happens by itself. It runs between two answers of the API, from the moment of
 * the last one; when nothing is heard any more it stops and says so.
 */
import { currentHearing } from '../api/hearing';
import { useWords } from '../words/words';
import { useNow } from './now';
import { useStale } from './staleness';

interface Props {
  seconds: number;
  /** When it was told, on this browser's clock. */
  toldAt: number;
}

export function Countdown({ seconds, toldAt }: Props) {
  const { t, span } = useWords();
  const now = useNow() - currentHearing().offset;
  if (useStale()) return <strong>{t('countdown.unknown')}</strong>;
  const left = Math.max(0, seconds - (now - toldAt) / 1000);
  return <strong className="number">{span(Math.floor(left))}</strong>;
}
