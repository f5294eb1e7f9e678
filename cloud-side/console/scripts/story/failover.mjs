// An emergency failover to a bookmark while the source goes on serving: two sites may be taking writes, one is kept.
import assert from 'node:assert/strict';
import { isOver, takeOn } from './alert.mjs';

/** What has to be said before production moves. */
async function ask(site, group, label) {
  const { page, dialogue } = site;
  await site.open(`/groups/${group}`);
  await site.press('failover.do');
  await dialogue.getByText(site.t('frame.live')).waitFor();
  await dialogue.getByText(site.t('failover.preview.planned')).waitFor();
  await dialogue.getByRole('radio', { name: site.t('failover.mode.emergency') }).click();
  await dialogue.getByText(site.t('point.named')).click();
  await dialogue.getByRole('textbox', { name: site.t('point.named.field') }).fill(label);
  await dialogue.getByText(site.t('loss.bytes')).waitFor();
  const start = site.button('failover.do', dialogue);
  assert.equal(await start.isDisabled(), true, 'a failover needs the typed name');
  await site.confirm('another-group');
  assert.equal(await start.isDisabled(), true, 'another name is no confirmation');
  await site.confirm(group);
  assert.equal(await start.isDisabled(), true, 'a source that serves needs somebody who vouches for it');
  await dialogue.getByRole('checkbox', { name: site.t('failover.isolated') }).check();
  await site.stop('failover-dialogue');
  await site.press('failover.do', dialogue);
  await site.titled('failover.page', { group });
  return page.url();
}

/** The source was vouched for wrongly: it is seen taking writes. Production goes on at the target. */
async function keepTarget(site, group) {
  await site.page.getByRole('alert').getByText(site.t('split.title')).waitFor({ timeout: 120_000 });
  const alert = await takeOn(site, 'split_brain_suspected');
  await site.open(`/groups/${group}`);
  await site.sees('answer.split');
  await site.stop('split-brain');
  await site.press('keep.target.do');
  await site.confirm(group);
  await site.stop('keep-dialogue');
  await site.press('keep.target.do', site.dialogue);
  await site.dialogue.waitFor({ state: 'hidden' });
  await isOver(site, alert);
  site.say('two sites take writes, which raises an alert; the target is kept, and the alert is over');
}

export async function failOver(site, group, label) {
  const { page, installation } = site;
  const failover = await ask(site, group, label);
  await keepTarget(site, group);
  await page.goto(failover);
  await site.badge('state.stage.waiting', 240);
  await site.stop('failover-decide');

  await site.open('/');
  await site.sees('inbox.failover_decide');
  await site.stop('inbox');
  await page.goto(failover);
  await site.press('verb.commit');
  await site.confirm(group);
  await site.stop('commit-dialogue');
  await site.press('verb.commit', site.dialogue);
  await site.badge('state.failoverEnd.committed', 60);
  const { end, mode, point } = await installation.get(`failovers/${failover.split('/').at(-1)}`);
  assert.deepEqual([end, mode], ['committed', 'emergency']);
  const chosen = await installation.get(`groups/${group}/points/${label}`);
  assert.equal(point, chosen.id, 'it was to the bookmark');
  await site.open(`/groups/${group}`);
  await site.sees('answer.at_target');
  await site.stop('at-target');
  assert.equal((await installation.get(`groups/${group}/placement`)).authority, 'target');
  site.say('production belongs to the target');
}
