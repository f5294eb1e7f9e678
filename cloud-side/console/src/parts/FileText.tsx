/** A text to be looked at, copied and kept. */
import { Button } from '@mantine/core';
import { useState } from 'react';
import { useWords } from '../words/words';

export function FileText({ text, name }: { text: string; name: string }) {
  const { t } = useWords();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const keep = () => {
    const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };
  return (
    <>
      <div className="button-row file-text-do">
        <Button size="compact-sm" variant="default" onClick={copy}>
          {copied ? t('common.copied') : t('common.copy')}
        </Button>
        <Button size="compact-sm" variant="default" onClick={keep}>
          {t('common.download')}
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <pre className="pem" tabIndex={0}>
        {text}
      </pre>
    </>
  );
}
