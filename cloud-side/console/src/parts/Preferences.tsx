/** Language and brightness of the page. */
import { Button, Group, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useWords } from '../words/words';

export function Preferences() {
  const { language, setLanguage, t } = useWords();
  // Without this Mantine puts a style element into the page for a moment, which the policy forbids.
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const dark = useComputedColorScheme('light') === 'dark';
  const other = language === 'en' ? 'zh' : 'en';
  return (
    <Group gap={4} wrap="nowrap">
      <Button size="compact-sm" variant="subtle" color="gray" lang={other} onClick={() => setLanguage(other)}>
        {language === 'en' ? '中文' : 'English'}
      </Button>
      <Button
        size="compact-sm"
        variant="subtle"
        color="gray"
        onClick={() => setColorScheme(dark ? 'light' : 'dark')}
      >
        {t(dark ? 'shell.light' : 'shell.dark')}
      </Button>
    </Group>
  );
}
