import { type ReactNode, useId } from 'react';

interface Props {
  title: string;
  /** At the right of the title. */
  side?: ReactNode;
  /** Frames what is a test in blue and what is live in red. */
  frame?: 'test' | 'live';
  children: ReactNode;
}

/** A part of a page with a heading, which screen readers can jump to. */
export function Panel({ title, side, frame, children }: Props) {
  const id = useId();
  return (
    <section className="panel" data-frame={frame} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{title}</h2>
        {side}
      </header>
      {children}
    </section>
  );
}
