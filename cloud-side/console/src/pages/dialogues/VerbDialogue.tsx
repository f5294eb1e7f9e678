/** A live verb of a failover or failback: what it does, what is lost by it, and the group's name. */
import type { ReactNode } from 'react';
import { useState } from 'react';
import { Consequences } from '../../parts/Consequences';
import { Dialogue } from '../../parts/Dialogue';
import { TypedName } from '../../parts/TypedName';
import { useWish } from '../../parts/useWish';
import { useWords } from '../../words/words';

interface Props {
  title: string;
  verb: string;
  lines: ReactNode[];
  /** The name to be typed; absent for verbs that the API takes without a confirmation. */
  confirm?: string;
  send: (confirm: string) => Promise<unknown>;
  onClose: () => void;
  frame?: 'test' | 'live';
}

export function VerbDialogue({ title, verb, lines, confirm, send, onClose, frame = 'live' }: Props) {
  const { t } = useWords();
  const [typed, setTyped] = useState('');
  const wish = useWish(() => send(typed), onClose);
  return (
    <Dialogue
      title={title}
      frame={frame}
      verb={verb}
      ready={confirm === undefined || typed === confirm}
      busy={wish.busy}
      error={wish.error}
      onSend={wish.send}
      onClose={onClose}
    >
      <Consequences title={t('verb.consequences')} lines={lines} />
      {confirm !== undefined && <TypedName name={confirm} value={typed} onChange={setTyped} />}
    </Dialogue>
  );
}
