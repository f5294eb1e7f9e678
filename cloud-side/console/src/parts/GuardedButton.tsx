/**
 * A button for something that the API does: what the role of who is signed in does not allow stays in sight and says
 * why and who may, and so does what is refused for another reason. It can be reached by the keyboard all the same, so
 * that the reason can be read without a mouse. Nothing starts from a stale page.
 */
import { Button, Tooltip } from '@mantine/core';
import { useId } from 'react';
import { Link } from 'react-router';
import type { Operation } from '../api/access';
import { useWords } from '../words/words';
import { useStale } from './staleness';
import { useRefusal } from './useRefusal';

/** Why something is refused although the role allows it. */
export interface Refused {
  why: string;
  remedy?: string | null;
  /** Whether the server said so, which speaks English only. */
  served?: boolean;
}

interface Props {
  /** What the API is asked for, or all that it will be asked for. */
  operation: Operation | readonly Operation[];
  label: string;
  look?: 'main' | 'plain' | 'live' | 'test' | 'remove';
  size?: 'compact-xs' | 'compact-sm' | 'xs' | 'sm';
  loading?: boolean;
  refused?: Refused | null;
  /** Where it leads, or what it does. */
  to?: string;
  onClick?: () => void;
}

const LOOKS = {
  main: { variant: 'filled' },
  plain: { variant: 'default' },
  live: { variant: 'outline', color: 'red' },
  test: { variant: 'outline', color: 'blue' },
  remove: { variant: 'subtle', color: 'red' },
} as const;

export function GuardedButton(props: Props) {
  const { operation, label, look = 'plain', size, loading, to, onClick } = props;
  const { t } = useWords();
  const stale = useStale();
  const refusal = useRefusal();
  const id = useId();
  const needed: readonly Operation[] = typeof operation === 'string' ? [operation] : operation;
  const role = refusal(...needed);
  const refused: Refused | null =
    role !== null ? { why: role } : stale ? { why: t('action.stale') } : (props.refused ?? null);
  if (refused === null) {
    return to === undefined ? (
      <Button {...LOOKS[look]} size={size} loading={loading} onClick={onClick}>
        {label}
      </Button>
    ) : (
      <Button {...LOOKS[look]} size={size} component={Link} to={to}>
        {label}
      </Button>
    );
  }
  const { why, remedy, served = false } = refused;
  return (
    <>
      <Tooltip
        multiline
        w={320}
        events={{ hover: true, focus: true, touch: true }}
        label={
          <span lang={served ? 'en' : undefined}>
            {why}
            {remedy ? `. ${t('problem.remedy')} ${remedy}` : ''}
          </span>
        }
      >
        <Button
          variant="default"
          size={size}
          data-disabled
          aria-disabled
          aria-describedby={id}
          onClick={(event) => event.preventDefault()}
        >
          {label}
        </Button>
      </Tooltip>
      {/* Beside the button: inside it would be part of its name. */}
      <span id={id} hidden>
        {why} {remedy}
      </span>
    </>
  );
}
