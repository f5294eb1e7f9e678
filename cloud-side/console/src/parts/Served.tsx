/** A sentence of the server, which speaks English only: a screen reader has to know. */
export function Served({ children }: { children: string }) {
  return <span lang="en">{children}</span>;
}
