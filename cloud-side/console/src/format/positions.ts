/** Positions of a stream, written `incarnation-sequence`. */

export interface Position {
  incarnation: number;
  sequence: number;
}

export function parsePosition(text: string | null | undefined): Position | null {
  const found = /^(\d+)-(\d+)$/.exec(text ?? '');
  return found ? { incarnation: Number(found[1]), sequence: Number(found[2]) } : null;
}

/** How many records one position is behind another; null where that cannot be told, as across incarnations. */
export function behind(position: string | null | undefined, head: string | null | undefined): number | null {
  const [at, end] = [parsePosition(position), parsePosition(head)];
  if (!at || !end || at.incarnation !== end.incarnation) return null;
  return Math.max(0, end.sequence - at.sequence);
}
