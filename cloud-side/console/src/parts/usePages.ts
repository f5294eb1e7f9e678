/** Where one is in a list that is read page by page: the cursors that led here. */
import { useState } from 'react';

export function usePages() {
  const [cursors, setCursors] = useState<string[]>([]);
  return {
    cursor: cursors.at(-1),
    number: cursors.length + 1,
    next: (cursor: string) => setCursors([...cursors, cursor]),
    back: () => setCursors(cursors.slice(0, -1)),
    first: () => setCursors([]),
  };
}

export type Pages = ReturnType<typeof usePages>;
