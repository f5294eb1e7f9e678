import { local, utc } from '../format/instants';
import { useWords } from '../words/words';
import { useNow } from './now';

/** The server's time, in the browser's zone and in UTC: on a bad day people in two zones have to agree. */
export function Clock() {
  const { language } = useWords();
  const now = useNow();
  return (
    <span className="clock number" title={utc(now)}>
      {local(now, language)} <span className="quiet">{utc(now).slice(11, 19)} UTC</span>
    </span>
  );
}
