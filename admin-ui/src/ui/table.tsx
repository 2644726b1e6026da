import type { ReactNode } from 'react';
import { words } from '../words';

export interface Column<T> {
  title: string;
  cell: (row: T) => ReactNode;
  /** `title` heads the row where it is shown as a card. */
  kind?: 'title' | 'number' | 'mono' | 'mono title' | 'nowrap' | 'nowrap title' | 'actions';
}

/** A column of buttons, for those who may press them. */
export function actions<T>(isAllowed: boolean, cell: (row: T) => ReactNode): Column<T>[] {
  return isAllowed ? [{ title: words.common.actions, kind: 'actions', cell }] : [];
}

interface TableProps<T> {
  rows: readonly T[];
  keyOf: (row: T) => string;
  columns: readonly Column<T>[];
}

/** Rows; on a phone each is a card. */
export function Table<T>({ rows, keyOf, columns }: TableProps<T>) {
  return (
    <div className="table-wrap">
      <table className="table cards">
        <thead>
          <tr>
            {columns.map(({ title, kind }) => (
              <th key={title} className={kind === 'number' ? 'number' : undefined}>
                {kind === 'actions' ? <span className="visually-hidden">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, kind, cell }) => (
                <td key={title} className={kind} data-label={kind === 'actions' ? '' : title}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
