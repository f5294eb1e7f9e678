/** A state in words, with a colour and a shape: nobody has to tell green from red to read it. */
import { type StateKind, type StateOf, type Tone, tone } from '../states/tones';
import { useWords } from '../words/words';
import { useStale } from './staleness';

const SHAPES: Record<Tone, string> = { good: '●', busy: '◐', warn: '▲', bad: '■', unknown: '?', plain: '–' };

export function Badge({ tone: wanted, children }: { tone: Tone; children: string }) {
  const { t } = useWords();
  const stale = useStale();
  // What was so when it was last heard is not known to be so now.
  const shown = stale ? 'unknown' : wanted;
  return (
    <span className="badge" data-tone={shown} title={stale ? t('live.was') : undefined}>
      <span className="badge-shape" aria-hidden="true">
        {SHAPES[shown]}
      </span>
      <span>{children}</span>
    </span>
  );
}

interface Props<Kind extends StateKind> {
  kind: Kind;
  value: StateOf<Kind>;
}

export function StateBadge<Kind extends StateKind>({ kind, value }: Props<Kind>) {
  const { state } = useWords();
  return <Badge tone={tone(kind, value)}>{state(kind, value)}</Badge>;
}
