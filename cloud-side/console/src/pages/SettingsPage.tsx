/** How this browser shows things, who one is, by what alerts are told, and what installation this is. */
import { PageHead } from '../parts/PageHead';
import { useWords } from '../words/words';
import { ChannelsPanel } from './settings/ChannelsPanel';
import { InstallationPanel } from './settings/InstallationPanel';
import { KeysPanel } from './settings/KeysPanel';
import { LookPanel } from './settings/LookPanel';
import { YouPanel } from './settings/YouPanel';

export function SettingsPage() {
  const { t } = useWords();
  return (
    <>
      <PageHead title={t('nav.settings')} />
      <div className="columns">
        <LookPanel />
        <YouPanel />
      </div>
      <ChannelsPanel />
      <InstallationPanel />
      <KeysPanel />
    </>
  );
}
