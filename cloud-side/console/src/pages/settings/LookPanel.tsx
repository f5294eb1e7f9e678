/** Language, brightness and zone: what this browser remembers, and nobody else sees. */
import { SegmentedControl, Stack, useMantineColorScheme } from '@mantine/core';
import type { ReactNode } from 'react';
import { Panel } from '../../parts/Panel';
import { setZone, useTimes, ZONES, type ZoneChoice } from '../../parts/times';
import { type Language, useWords } from '../../words/words';

const SCHEMES = ['auto', 'light', 'dark'] as const;

export function LookPanel() {
  const { t, language, setLanguage } = useWords();
  // Without this Mantine puts a style element into the page for a moment, which the policy forbids.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const { zone } = useTimes();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <Panel title={t('settings.look')}>
      <p className="quiet">{t('settings.look.what')}</p>
      <Stack gap="sm">
        <Choice name={t('settings.language')}>
          <SegmentedControl
            value={language}
            onChange={(next) => setLanguage(next as Language)}
            aria-label={t('settings.language')}
            data={[
              { value: 'en', label: <span lang="en">English</span> },
              { value: 'zh', label: <span lang="zh-CN">中文</span> },
            ]}
          />
        </Choice>
        <Choice name={t('settings.scheme')}>
          <SegmentedControl
            value={colorScheme}
            onChange={(next) => setColorScheme(next as (typeof SCHEMES)[number])}
            aria-label={t('settings.scheme')}
            data={SCHEMES.map((value) => ({ value, label: t(`settings.scheme.${value}`) }))}
          />
        </Choice>
        <Choice name={t('settings.zone')} note={t('settings.zone.what')}>
          <SegmentedControl
            value={zone}
            onChange={(next) => setZone(next as ZoneChoice)}
            aria-label={t('settings.zone')}
            data={ZONES.map((value) => ({ value, label: t(`settings.zone.${value}`, { zone: here }) }))}
          />
        </Choice>
      </Stack>
    </Panel>
  );
}

function Choice({ name, note, children }: { name: string; note?: string; children: ReactNode }) {
  return (
    <div>
      <span className="field-name">{name}</span>
      {children}
      {note && <div className="quiet small">{note}</div>}
    </div>
  );
}
