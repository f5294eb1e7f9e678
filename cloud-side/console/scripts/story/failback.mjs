// The way home: the disks are confirmed one by one, home follows, production is cut over, compared and committed.
import assert from 'node:assert/strict';

export async function failBack(site, group) {
  const { page, installation, dialogue } = site;
  await site.open(`/groups/${group}`);
  await site.press('failback.do');
  await site.stop('failback-dialogue');
  await site.press('failback.do', dialogue);
  await site.titled('failback.page', { group });
  const path = `failbacks/${page.url().split('/').at(-1)}`;
  await site.press('disks.do', page, 120);
  for (const { volume_name: volume, serial } of (await installation.get(path)).disks) {
    await dialogue.getByLabel(site.t('disks.type', { volume, serial })).fill(serial);
  }
  await site.stop('disks-dialogue');
  await site.press('disks.do', dialogue);
  site.say('the disks at home are confirmed');

  await page.getByRole('heading', { name: site.t('step.between_rounds') }).waitFor({ timeout: 240_000 });
  await site.stop('home-follows');
  await site.press('verb.cutover');
  await site.confirm(group);
  await site.stop('cutover-dialogue');
  await site.press('verb.cutover', dialogue);
  await page.getByRole('heading', { name: site.t('step.await_commit') }).waitFor({ timeout: 240_000 });
  await site.sees('failback.equal');
  await site.stop('home-decide');
  site.say('home serves, proven equal by digest');

  await site.press('verb.commit');
  await site.confirm(group);
  await site.press('verb.commit', dialogue);
  await site.badge('state.failbackEnd.committed', 240);
  await site.stop('failback-committed');
  const { end, proven_equal } = await installation.get(path);
  assert.deepEqual([end, proven_equal], ['committed', true]);
  await site.open(`/groups/${group}`);
  await site.sees('answer.protected', {}, 120);
  await site.stop('home-again');
  assert.equal((await installation.get(`groups/${group}/placement`)).authority, 'source');
  site.say('production is at home and protected again');
}
