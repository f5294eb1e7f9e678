import type { ReactNode } from 'react';

/** What will happen, line by line, before somebody says yes. */
export function Consequences({ title, lines }: { title: string; lines: ReactNode[] }) {
  return (
    <div className="consequences">
      <strong>{title}</strong>
      <ul>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the lines of a dialogue do not move
          <li key={index}>{line}</li>
        ))}
      </ul>
    </div>
  );
}
