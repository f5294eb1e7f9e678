// A day on which all is well: the group is protected, the console says when it hears nothing, a bookmark, an instant.
import assert from 'node:assert/strict';

/** The group's page says that it is protected, and when the API is gone that nothing is known. */
export async function isProtected(site, group) {
  const { page } = site;
  await site.open('/');
  await page.getByRole('link', { name: group, exact: true }).first().click();
  await site.sees('answer.protected', {}, 120);
  site.say('the group is protected');
}

export async function silence(site, group) {
  const { page } = site;
  await site.open(`/groups/${group}`);
  await site.sees('answer.protected');
  site.silent = true;
  await page.route('**/api/**', (route) => route.abort());
  await page.getByRole('alert').getByText(site.t('fresh.silent.meaning')).waitFor();
  await site.sees('answer.stale');
  assert.equal(await page.locator('main .badge[data-tone="good"]').count(), 0, 'nothing unknown is green');
  const failOver = site.button('failover.do');
  assert.equal(await failOver.getAttribute('aria-disabled'), 'true', 'nothing is done blindly');
  await site.stop('api-gone');
  await page.unroute('**/api/**');
  await site.sees('answer.protected');
  site.silent = false;
  site.say('when the API is gone the page says so, and recovers with it');
}

/** A point of its own name, across all volumes. */
export async function bookmark(site, group, label) {
  await site.open(`/groups/${group}`);
  await site.press('bookmark.do');
  await site.dialogue.getByLabel(site.t('bookmark.label')).fill(label);
  await site.press('bookmark.do', site.dialogue);
  await site.dialogue.getByText(site.t('job.point')).waitFor();
  await site.stop('bookmark');
  const { label: kept, kind } = await site.installation.get(`groups/${group}/points/${label}`);
  assert.deepEqual([kept, kind], [label, 'bookmark'], 'what the page says is published is there');
  await site.press('common.leave', site.dialogue);
  await site.dialogue.waitFor({ state: 'hidden' });
  site.say('a bookmark is published');
}

/** An instant is chosen on the timeline, and its point opened to be read, and closed. */
export async function instant(site, group) {
  const { page, installation } = site;
  await site.open(`/groups/${group}/timeline`);
  await site.sees('line.follows');
  await site.press('line.before');
  const panel = page.locator('section', { hasText: site.t('line.chosen') }).last();
  const shown = await panel.locator('.id').first().innerText();
  assert.equal(
    (await installation.get(`groups/${group}/points/${shown}`)).id,
    shown,
    'there is such a point',
  );
  await site.stop('timeline');
  await site.press('view.do', panel);
  await site.press('view.do', site.dialogue);
  await page.waitForURL('**/views');
  const view = (await installation.get(`views?group=${group}`)).items.find((one) => one.point.id === shown);
  assert.ok(view, 'the view is of the point that was chosen');
  // Its addresses have its whole id.
  const row = page.getByRole('row').filter({ hasText: view.id });
  await row.getByText(site.t('state.view.open'), { exact: true }).waitFor();
  await site.press('views.close', row);
  await site.press('views.close', site.dialogue);
  await row.waitFor({ state: 'detached' });
  const closed = await installation.ask('GET', `/api/v1/views/${view.id}`);
  assert.equal(closed.status, 404, 'what the page closed is closed');
  site.say('an instant is chosen on the timeline, viewed and closed');
}
