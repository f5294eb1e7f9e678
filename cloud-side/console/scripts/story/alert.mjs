// An alert is there while what it is about lasts, is taken on by somebody, and is over with its condition.
import assert from 'node:assert/strict';

/** Finds the alert of a code among those that are raised, and acknowledges it; says where it is. */
export async function takeOn(site, code) {
  const { page, dialogue, installation } = site;
  await site.open('/alerts');
  await site.sees(`alertCode.${code}`, {}, 60);
  const { items } = await installation.get('alerts?state=raised&limit=100');
  const alert = items.find((one) => one.code === code);
  assert.ok(alert, `what the page shows is raised: ${code}`);
  const path = `/alerts/${alert.id}`;
  await site.open(path);
  await site.press('alert.acknowledge');
  await dialogue.getByRole('textbox').fill('looking at <i>both</i> sites');
  await site.press('alert.acknowledge', dialogue);
  await dialogue.waitFor({ state: 'hidden' });
  await page.getByText('looking at <i>both</i> sites').first().waitFor();
  await site.stop('alert');
  const { acknowledged } = await installation.get(`alerts/${alert.id}`);
  assert.equal(acknowledged.by, site.user.name);
  return path;
}

/** It is over. */
export async function isOver(site, path) {
  await site.open(path);
  await site.sees('alertEvent.cleared', {}, 120);
  const { state } = await site.installation.get(path.slice(1));
  assert.equal(state, 'cleared');
}
