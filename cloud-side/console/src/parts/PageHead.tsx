/** What page this is: its title is the document's too, so that a tab can be told from another. */
import { type ReactNode, useEffect } from 'react';
import { Link } from 'react-router';

interface Props {
  title: string;
  /** Where this page hangs. */
  above?: { to: string; name: string };
  /** Beside the title. */
  badges?: ReactNode;
  /** At the right. */
  actions?: ReactNode;
  /** Under the title. */
  note?: ReactNode;
}

export function PageHead({ title, above, badges, actions, note }: Props) {
  useEffect(() => {
    document.title = `${title} · BCDR Gateway`;
  }, [title]);
  return (
    <header className="page-head">
      {above && (
        <nav className="above">
          <Link to={above.to}>← {above.name}</Link>
        </nav>
      )}
      <div className="page-head-row">
        <h1>{title}</h1>
        <div className="badges">{badges}</div>
        <div className="page-actions">{actions}</div>
      </div>
      {note && <div className="quiet">{note}</div>}
    </header>
  );
}
