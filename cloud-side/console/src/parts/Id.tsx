/** An id: shortened to what tells it from others, whole when one points at it, copied by a click. */
import { useState } from 'react';
import { useWords } from '../words/words';

interface Props {
  value: string;
  /** Shows all of it. */
  whole?: boolean;
}

export function Id({ value, whole = false }: Props) {
  const { t } = useWords();
  const [copied, setCopied] = useState(false);
  const text = whole || value.length <= 16 ? value : `${value.slice(0, 4)}…${value.slice(-8)}`;
  const copy = async () => {
    // Browsers offer the clipboard to secure pages only.
    await navigator.clipboard?.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button
      type="button"
      className={whole ? 'id is-whole' : 'id'}
      title={copied ? t('common.copied') : value}
      onClick={copy}
    >
      {copied ? t('common.copied') : text}
    </button>
  );
}
