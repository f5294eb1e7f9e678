/** A table that scrolls by itself on a narrow screen, with a caption for screen readers. */
import { Table as Plain, VisuallyHidden } from '@mantine/core';
import type { ReactNode } from 'react';

export interface Column {
  name: string;
  /** Numbers stand at the right, so that they line up. */
  number?: boolean;
  /** For screen readers only: what a column of buttons is. */
  hidden?: boolean;
}

interface Props {
  caption: string;
  columns: Column[];
  children: ReactNode;
}

export function Table({ caption, columns, children }: Props) {
  return (
    // A group and no section: tables are no landmarks. What scrolls has to be reached by the keyboard.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: as said above
    <div role="group" className="table-wrap" aria-label={caption} tabIndex={0}>
      <Plain highlightOnHover verticalSpacing="xs" horizontalSpacing="sm">
        <Plain.Thead>
          <Plain.Tr>
            {columns.map((column) => (
              <Plain.Th key={column.name} scope="col" className={column.number ? 'number-cell' : undefined}>
                {column.hidden ? <VisuallyHidden>{column.name}</VisuallyHidden> : column.name}
              </Plain.Th>
            ))}
          </Plain.Tr>
        </Plain.Thead>
        <Plain.Tbody>{children}</Plain.Tbody>
      </Plain>
    </div>
  );
}

export const Row = Plain.Tr;
export const Cell = Plain.Td;

/** A cell with a number. */
export function NumberCell({ children }: { children: ReactNode }) {
  return <Plain.Td className="number-cell">{children}</Plain.Td>;
}
