/** The whole installation in one look: is everything protected, would it come up, and what waits for somebody. */
import { useQuery } from '@tanstack/react-query';
import { groups } from '../api/queries';
import { Empty } from '../parts/Empty';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { AgePanel } from './overview/AgePanel';
import { DrillsDuePanel } from './overview/DrillsDuePanel';
import { FlowPanel } from './overview/FlowPanel';
import { Headline } from './overview/Headline';
import { InboxPanel } from './overview/InboxPanel';

export function OverviewPage() {
  const { t } = useWords();
  const query = useQuery(groups());
  return (
    <>
      <PageHead title={t('nav.overview')} />
      <Live query={query}>
        {(all) => (
          <>
            {all.length > 0 && <Headline all={all} />}
            <InboxPanel all={all} />
            {all.length === 0 ? (
              <Empty>{t('groups.none')}</Empty>
            ) : (
              <>
                <AgePanel all={all} />
                <div className="columns">
                  <DrillsDuePanel all={all} />
                  <FlowPanel all={all} />
                </div>
              </>
            )}
          </>
        )}
      </Live>
    </>
  );
}
