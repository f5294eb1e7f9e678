// A drill of a bookmark: it boots, nothing is left of it, and the signature of its report holds.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

export async function drillOf(site, group, label) {
  const { page, installation } = site;
  await site.open(`/groups/${group}`);
  await site.press('drill.do');
  await site.dialogue.getByText(site.t('frame.test')).waitFor();
  await site.dialogue.getByText(site.t('point.named')).click();
  await site.dialogue.getByRole('textbox', { name: site.t('point.named.field') }).fill(label);
  // It begins as the plan's drill, or as the failover of an earlier story.
  const machine = ['drill', 'failover'].map((origin) =>
    site.dialogue.getByText(site.t(`machine.origin.${origin}`)),
  );
  await machine[0].or(machine[1]).waitFor();
  await site.stop('drill-dialogue');
  await site.press('drill.do', site.dialogue);
  await site.titled('drill.page', { group });
  await site.sees('drill.elapsed');
  await site.stop('drill-running');
  await site.badge('state.drill.passed', 240);
  await site.sees('cleanup.complete');
  await site.stop('drill-passed');
  const drill = await installation.get(`drills/${page.url().split('/').at(-1)}`);
  assert.equal(drill.state, 'passed');
  assert.equal(drill.point.label, label, 'it was of the bookmark');
  await page.locator('main').getByText(drill.point.id, { exact: true }).first().waitFor();
  site.say('a drill of the bookmark passed, and nothing is left of it');

  await page.getByRole('link', { name: site.t('drill.report.open') }).click();
  await site.sees('report.verdict.signed');
  await site.stop('report');
  const [download] = await Promise.all([page.waitForEvent('download'), site.press('report.json')]);
  const { report } = JSON.parse(await readFile(await download.path(), 'utf8'));
  assert.equal(report.content.subject.id, drill.id, 'the file is the report of this drill');
  site.say('the signature of its report holds');
}
