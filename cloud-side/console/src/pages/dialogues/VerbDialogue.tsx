/** A live verb: what it does, what is lost by it, and the name to be typed. */
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
  /** What that name is of; a group by default. */
  of?: 'group' | 'user';
  /** Why a name has to be typed; by default because production moves. */
  why?: string;
  /** Whether `send` gives the key to the API. */
  keyed?: boolean;
  send: (confirm: string, key: string) => Promise<unknown>;
  onClose: () => void;
  frame?: 'test' | 'live' | 'none';
  /** Fields before the name. */
  children?: ReactNode;
  /** Whether those fields are filled. */
  filled?: boolean;
}

export function VerbDialogue(props: Props) {
  const { title, verb, lines, confirm, of, why, keyed, send, onClose, frame = 'live', filled = true } = props;
  const { t } = useWords();
  const [typed, setTyped] = useState('');
  const wish = useWish((key) => send(typed, key), onClose);
  return (
    <Dialogue
      title={title}
      frame={frame === 'none' ? undefined : frame}
      verb={verb}
      ready={filled && (confirm === undefined || typed === confirm)}
      busy={wish.busy}
      error={wish.error}
      keyed={keyed}
      onSend={wish.send}
      onClose={onClose}
    >
      <Consequences title={t('verb.consequences')} lines={lines} />
      {props.children}
      {confirm !== undefined && (
        <TypedName of={of} name={confirm} value={typed} onChange={setTyped} why={why} />
      )}
    </Dialogue>
  );
}
