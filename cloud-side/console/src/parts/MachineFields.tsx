/**
 * How the recovered machine looks and by which lines of its console its boot is recognised. The API keeps no
 * settings of a group, so they begin as those of the group's last drill, schedule or failover, and say which.
 */
import { Button, Collapse, Select, Stack, Switch, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { drills, failovers, schedule } from '../api/queries';
import type { LaunchSettings, RungPatterns } from '../api/types';
import { useWords } from '../words/words';

export type LaunchOrigin = 'schedule' | 'drill' | 'failover' | 'defaults';

export interface Launch {
  settings: LaunchSettings;
  origin: LaunchOrigin;
}

/** The settings that this group was last given; null while that is being read. */
export function useLastLaunch(group: string): Launch | null {
  const lastDrills = useQuery({ ...drills(group, undefined, 5), refetchInterval: false });
  const lastFailovers = useQuery({ ...failovers(group, undefined, 1), refetchInterval: false });
  const planned = useQuery({ ...schedule(group), refetchInterval: false });
  if (lastDrills.isPending || lastFailovers.isPending || planned.isPending) return null;
  const failover = lastFailovers.data?.items[0]?.launch_settings;
  if (failover) return { settings: failover, origin: 'failover' };
  const drill = lastDrills.data?.items.find((item) => item.report?.launch_settings)?.report?.launch_settings;
  if (drill) return { settings: drill, origin: 'drill' };
  const scheduled = planned.data?.launch_settings;
  if (scheduled) return { settings: scheduled, origin: 'schedule' };
  return { settings: {}, origin: 'defaults' };
}

interface Props {
  group: string;
  value: Launch | null;
  onChange: (launch: Launch) => void;
}

const PATTERNS = ['firmware', 'kernel', 'root_mounted', 'login', 'canary'] as const;

export function MachineFields({ group, value, onChange }: Props) {
  const { t } = useWords();
  const last = useLastLaunch(group);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!value && last) onChange(last);
  }, [value, last, onChange]);
  if (!value) return null;
  const { settings, origin } = value;
  const set = (part: Partial<LaunchSettings>) => onChange({ settings: { ...settings, ...part }, origin });
  const setPattern = (name: keyof RungPatterns, text: string) => {
    // A pattern that is cleared is the default again; an empty one would switch its rung off.
    const { [name]: _, ...others } = settings.rungs ?? {};
    set({ rungs: text === '' ? others : { ...others, [name]: text } });
  };
  const number = (name: 'memory_mib' | 'cpus' | 'boot_timeout_seconds', fallback: number) => (
    <TextInput
      label={t(`machine.${name}`)}
      inputMode="numeric"
      placeholder={String(fallback)}
      value={settings[name] ?? ''}
      onChange={(event) => {
        const text = event.currentTarget.value.replace(/\D/g, '');
        set({ [name]: text === '' ? undefined : Number(text) });
      }}
    />
  );
  return (
    <Stack gap="xs">
      <div className="field-line">
        <span className="field-name">{t('machine.title')}</span>
        <span className="quiet small">{t(`machine.origin.${origin}`)}</span>
        <Button size="compact-xs" variant="subtle" onClick={() => setOpen(!open)} aria-expanded={open}>
          {t(open ? 'machine.close' : 'machine.open')}
        </Button>
      </div>
      <p className="quiet small machine-line">
        {t('machine.summary', {
          cpus: settings.cpus ?? 2,
          memory: settings.memory_mib ?? 1024,
          firmware: (settings.firmware ?? 'bios').toUpperCase(),
          bus: settings.disk_bus ?? 'virtio',
          timeout: settings.boot_timeout_seconds ?? 180,
        })}
      </p>
      <Collapse in={open}>
        <div className="field-grid">
          {number('cpus', 2)}
          {number('memory_mib', 1024)}
          {number('boot_timeout_seconds', 180)}
          <Select
            label={t('machine.firmware')}
            value={settings.firmware ?? 'bios'}
            data={['bios', 'uefi']}
            allowDeselect={false}
            onChange={(next) => set({ firmware: next as LaunchSettings['firmware'] })}
          />
          <Select
            label={t('machine.disk_bus')}
            value={settings.disk_bus ?? 'virtio'}
            data={['virtio', 'ahci']}
            allowDeselect={false}
            onChange={(next) => set({ disk_bus: next as LaunchSettings['disk_bus'] })}
          />
          <Select
            label={t('machine.machine')}
            value={settings.machine ?? 'q35'}
            data={['q35', 'pc']}
            allowDeselect={false}
            onChange={(next) => set({ machine: next as LaunchSettings['machine'] })}
          />
        </div>
        <p className="quiet small patterns-note">{t('machine.patterns')}</p>
        <div className="field-grid">
          {PATTERNS.map((name) => (
            <TextInput
              key={name}
              label={t(`rung.${name}`)}
              value={settings.rungs?.[name] ?? ''}
              placeholder={t('machine.pattern.default')}
              onChange={(event) => setPattern(name, event.currentTarget.value)}
              spellCheck={false}
              classNames={{ input: 'mono' }}
            />
          ))}
        </div>
        <Switch
          mt="sm"
          label={t('machine.power_off')}
          checked={settings.power_off ?? false}
          onChange={(event) => set({ power_off: event.currentTarget.checked })}
        />
      </Collapse>
    </Stack>
  );
}
