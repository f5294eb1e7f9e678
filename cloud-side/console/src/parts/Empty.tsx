import type { ReactNode } from 'react';

/** A list with nothing in it says so, and what would be in it. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}
