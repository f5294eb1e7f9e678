import { bytes, exactBytes } from '../format/bytes';
import { useWords } from '../words/words';

/** A size; the exact number when one points at it. */
export function Bytes({ value }: { value: number | null | undefined }) {
  const { t } = useWords();
  if (value === null || value === undefined) return <span className="quiet">{t('common.unknown')}</span>;
  return (
    <span className="number" title={exactBytes(value)}>
      {bytes(value)}
    </span>
  );
}
