/** The fields of launch settings: how a machine looks, and by which lines of its console its boot is recognised. */
import { Select, Switch, TextInput } from '@mantine/core';
import type { LaunchSettings } from '../api/types';
import { DEFAULT_RUNGS, isOff, OPTIONAL_RUNGS, type RungName, switched, withPattern } from '../states/launch';
import { useWords } from '../words/words';

interface Props {
  settings: LaunchSettings;
  onChange: (settings: LaunchSettings) => void;
}

type Counted = 'memory_mib' | 'cpus' | 'boot_timeout_seconds' | 'shut_down_seconds' | 'overlay_limit_mib';

export function MachineForm({ settings, onChange }: Props) {
  const { t } = useWords();
  const set = (part: Partial<LaunchSettings>) => onChange({ ...settings, ...part });
  const number = (name: Counted, fallback: number) => (
    <TextInput
      label={t(`machine.${name}`)}
      inputMode="numeric"
      placeholder={String(fallback)}
      value={settings[name] ?? ''}
      onChange={(event) => {
        const text = event.currentTarget.value.replace(/\D/g, '').slice(0, 9);
        set({ [name]: text === '' ? undefined : Number(text) });
      }}
    />
  );
  const pattern = (name: RungName, placeholder: string, off = false) => (
    <TextInput
      label={t(`rung.${name}`)}
      value={settings.rungs?.[name] ?? ''}
      placeholder={off ? t('machine.pattern.off') : placeholder}
      disabled={off}
      onChange={(event) => set({ rungs: withPattern(settings.rungs, name, event.currentTarget.value) })}
      spellCheck={false}
      classNames={{ input: 'mono' }}
    />
  );
  return (
    <>
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
        {number('overlay_limit_mib', 8192)}
        {number('shut_down_seconds', 300)}
      </div>
      <p className="quiet small patterns-note">{t('machine.patterns')}</p>
      <div className="field-grid">
        {DEFAULT_RUNGS.map((name) => {
          const off = isOff(settings.rungs, name);
          return (
            <div key={name}>
              {pattern(name, t('machine.pattern.default'), off)}
              <Switch
                mt={4}
                size="xs"
                label={t('machine.rung.wanted')}
                aria-label={`${t(`rung.${name}`)}: ${t('machine.rung.wanted')}`}
                checked={!off}
                onChange={(event) =>
                  set({ rungs: switched(settings.rungs, name, event.currentTarget.checked) })
                }
              />
            </div>
          );
        })}
        {OPTIONAL_RUNGS.map((name) => (
          <div key={name}>{pattern(name, t('machine.pattern.off'))}</div>
        ))}
      </div>
      <Switch
        mt="sm"
        label={t('machine.power_off')}
        checked={settings.power_off ?? false}
        onChange={(event) => set({ power_off: event.currentTarget.checked })}
      />
    </>
  );
}
