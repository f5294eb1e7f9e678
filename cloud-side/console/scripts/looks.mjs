// How the console may look: language, brightness and width.

/** Changes to a look by the page's own buttons, from wherever one is. */
export async function look(site, { language, scheme, width }) {
  await site.page.setViewportSize({ width, height: 900 });
  await site.speak(language);
  const wanted = site.button(scheme === 'dark' ? 'shell.dark' : 'shell.light');
  if ((await wanted.count()) > 0) await wanted.click();
  await site.page.locator(`html[data-mantine-color-scheme="${scheme}"]`).waitFor({ state: 'attached' });
}

export const nameOf = ({ language, scheme, width }) => `${language}-${scheme}-${width}`;
