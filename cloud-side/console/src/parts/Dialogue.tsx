/**
 * A dialogue that carries one wish to the API: a frame that tells a test from the real thing, the consequences,
 * a button that says what it does, and the whole problem when it is refused.
 */
import { Button, Group, Modal, Stack } from '@mantine/core';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { useWords } from '../words/words';
import { ProblemNotice } from './ProblemNotice';

interface Props {
  title: string;
  frame?: 'test' | 'live';
  /** What the button says. */
  verb: string;
  ready: boolean;
  busy: boolean;
  error: unknown;
  /** Whether the request has an idempotency key. */
  keyed?: boolean;
  size?: 'md' | 'lg' | 'xl';
  onSend: () => void;
  onClose: () => void;
  children: ReactNode;
}

export function Dialogue(props: Props) {
  const { t } = useWords();
  const { title, frame, verb, ready, busy, error, keyed = false, size = 'lg', onSend, onClose } = props;
  // It is mounted when it opens: who opened it gets the focus back when it is gone.
  const [opener] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      if (opener instanceof HTMLElement) opener.focus({ preventScroll: true });
    },
    [opener],
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !busy) onSend();
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      size={size}
      closeOnClickOutside={false}
      classNames={{ content: frame ? `dialogue frame-${frame}` : 'dialogue' }}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      {frame && (
        <div className={`frame-word frame-word-${frame}`}>
          {t(frame === 'live' ? 'frame.live' : 'frame.test')}
        </div>
      )}
      <form onSubmit={submit}>
        <Stack gap="md">
          {props.children}
          {error ? <ProblemNotice error={error} keyed={keyed} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t('common.leave')}
            </Button>
            <Button
              type="submit"
              loading={busy}
              disabled={!ready}
              color={frame === 'live' ? 'red' : undefined}
            >
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
