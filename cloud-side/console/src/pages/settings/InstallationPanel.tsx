/** Which installation this is. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { system } from '../../api/queries';
import { Fact, Facts } from '../../parts/Facts';
import { Id } from '../../parts/Id';
import { Live } from '../../parts/Live';
import { Panel } from '../../parts/Panel';
import { useWords } from '../../words/words';

export function InstallationPanel() {
  const { t } = useWords();
  const query = useQuery(system());
  return (
    <Panel title={t('system.title')} side={<Link to="/infrastructure">{t('nav.infrastructure')}</Link>}>
      <Live query={query}>
        {(info) => (
          <Facts>
            <Fact name={t('system.version')}>{info.version}</Fact>
            <Fact name={t('system.installation')}>
              <Id value={info.installation} whole />
            </Fact>
            <Fact name={t('system.capabilities')}>{info.capabilities.join(', ')}</Fact>
          </Facts>
        )}
      </Live>
    </Panel>
  );
}
