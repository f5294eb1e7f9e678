/** What only some roles may see: to the others the reason stands in its place, and nothing is asked of the API. */
import type { ReactNode } from 'react';
import type { Operation } from '../api/access';
import { useRefusal } from './useRefusal';

interface Props {
  /** What its content asks the API for. */
  operations: readonly Operation[];
  children: ReactNode;
}

export function Permitted({ operations, children }: Props) {
  const why = useRefusal()(...operations);
  return why === null ? children : <p className="empty">{why}</p>;
}
