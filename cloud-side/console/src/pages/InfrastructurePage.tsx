/** What the replication runs on: the cloud side and its store, its certificates, the gateways and the captures. */
import { useQuery } from '@tanstack/react-query';
import { groups, system } from '../api/queries';
import { Live } from '../parts/Live';
import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { CapturesPanel } from './infrastructure/CapturesPanel';
import { CertificatesPanel } from './infrastructure/CertificatesPanel';
import { CloudPanel } from './infrastructure/CloudPanel';
import { ConditionsPanel } from './infrastructure/ConditionsPanel';
import { GatewaysPanel } from './infrastructure/GatewaysPanel';
import { StorePanel } from './infrastructure/StorePanel';

export function InfrastructurePage() {
  const { t } = useWords();
  const info = useQuery(system());
  const all = useQuery(groups());
  return (
    <>
      <PageHead title={t('nav.infrastructure')} note={t('infra.what')} />
      <ConditionsPanel />
      <Live query={all}>
        {(found) => (
          <>
            <GatewaysPanel all={found} />
            <CapturesPanel all={found} />
          </>
        )}
      </Live>
      <Live query={info}>
        {(known) => (
          <div className="columns">
            <CloudPanel info={known} />
            <StorePanel space={known.space} />
          </div>
        )}
      </Live>
      <CertificatesPanel />
    </>
  );
}
