/**
 * How the recovered machine looks and by which lines of its console its boot is recognised. The API keeps no
 * settings of a group, so they begin as those of the group's last drill, schedule or failover, and say which.
 */
import { Button, Collapse, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { drills, failovers, schedule } from '../api/queries';
import type { LaunchSettings } from '../api/types';
import { DEFAULT_RUNGS, isOff } from '../states/launch';
import { useWords } from '../words/words';
import { MachineForm } from './MachineForm';

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

export function MachineFields({ group, value, onChange }: Props) {
  const { t } = useWords();
  const last = useLastLaunch(group);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!value && last) onChange(last);
  }, [value, last, onChange]);
  if (!value) return null;
  const { settings, origin } = value;
  const off = DEFAULT_RUNGS.filter((name) => isOff(settings.rungs, name));
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
        {off.length > 0 &&
          ` · ${t('machine.off', { rungs: off.map((name) => t(`rung.${name}`)).join(', ') })}`}
      </p>
      <Collapse in={open}>
        <MachineForm settings={settings} onChange={(next) => onChange({ settings: next, origin })} />
      </Collapse>
    </Stack>
  );
}
