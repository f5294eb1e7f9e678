// A restore in place to a bookmark, and its undo.
import assert from 'node:assert/strict';

const ended = async (site) => {
  await site.badge('state.restoreEnd.restored', 240);
  await site.sees('restore.volumes.served.what', {}, 60);
  return site.installation.get(`restores/${site.page.url().split('/').at(-1)}`);
};

export async function restoreAndUndo(site, group, label) {
  const { page } = site;
  await site.open(`/groups/${group}/restores`);
  await site.press('restore.do');
  const { dialogue } = site;
  await dialogue.getByText(site.t('point.named')).click();
  await dialogue.getByRole('textbox', { name: site.t('point.named.field') }).fill(label);
  await dialogue.getByText(site.t('restore.may_differ')).waitFor();
  await site.confirm(group);
  const start = site.button('restore.do', dialogue);
  assert.equal(await start.isEnabled(), false, 'nothing is restored under a machine that may run');
  await dialogue.getByRole('checkbox').check();
  await site.stop('restore-dialogue');
  await site.press('restore.do', dialogue);
  await page.waitForURL('**/restores/*');
  await site.titled('restore.page', { group });
  const restore = await ended(site);
  assert.equal(restore.end, 'restored');
  await site.stop('restored');
  site.say('the volumes are put back to the bookmark in place');

  await site.press('verb.undo', page, 120);
  await site.confirm(group);
  await site.press('verb.undo', dialogue);
  await site.titled('restore.page.undo', { group });
  const undo = await ended(site);
  assert.deepEqual([undo.end, undo.undoes], ['restored', restore.id]);
  await site.stop('undone');
  site.say('the restore is undone');
}
