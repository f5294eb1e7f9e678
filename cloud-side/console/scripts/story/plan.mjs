// A recovery plan: written with a fault, put right, run as a drill with somebody's approval. How its machine looks is
// written as text; what the group is given later begins as that.
import assert from 'node:assert/strict';

const QUESTION = 'Is <b>all</b> well? "{yes}"';

/** Adds a step of a kind in the form. */
async function add(site, kind) {
  await site.press('plan.step.add');
  await site.page.getByRole('menuitem', { name: site.t(`planKind.${kind}`), exact: true }).click();
}

/** Writes a plan whose wait takes no time, which the server refuses, and puts it right. */
async function write(site, group, name) {
  const { page, installation } = site;
  await site.open('/new-plan');
  await page.getByLabel(site.t('plan.name'), { exact: true }).fill(name);
  for (const kind of ['approval', 'group', 'wait']) await add(site, kind);
  await page.getByLabel(site.t('plan.step.seconds')).fill('0');
  await page.getByLabel(site.t('plan.step.message')).fill(QUESTION);
  await page.getByPlaceholder(site.t('plan.step.choose')).click();
  await page.getByRole('option', { name: group, exact: true }).click();
  await site.press('plan.save');
  // The server's own sentence, which is English in both languages.
  await page.getByText('it waits 0 seconds').first().waitFor();
  await page.getByText(site.t('plan.edit.text'), { exact: true }).click();
  // The line that the fault is about is marked.
  const marked = await page.locator('.source-lines li[data-wrong]').textContent();
  const lines = (await page.locator('.source textarea').inputValue()).split('\n');
  assert.match(lines[Number(marked) - 1], /"id": "wait"/);
  await site.stop('plan-fault');
  const { status } = await installation.ask('GET', `/api/v1/plans/${name}`);
  assert.equal(status, 404, 'a plan with a fault is not kept');
  if (site.launch !== null) {
    const document = JSON.parse(lines.join('\n'));
    document.steps.find((step) => step.do?.group).do.group.launch_settings = site.launch;
    await page.locator('.source textarea').fill(JSON.stringify(document, null, 2));
  }
  await page.getByText(site.t('plan.edit.form'), { exact: true }).click();
  if (site.launch !== null) await site.sees('plan.step.machine');
  await page.getByLabel(site.t('plan.step.seconds')).fill('1');
  await site.press('plan.save');
  await page.waitForURL(`**/plans/${name}`);
}

export async function plan(site, group, name) {
  const { page, installation } = site;
  site.expect(`PUT plans/${name} 422`);
  await write(site, group, name);
  site.say('a plan with a fault is refused at its line; put right it is kept');

  await site.press('plan.drill');
  await site.dialogue.getByText(site.t('frame.test')).waitFor();
  await site.press('plan.start.test', site.dialogue);
  await page.waitForURL('**/plan-runs/*');
  // Names and texts are shown, never taken for markup.
  await page.getByRole('cell').getByText(QUESTION, { exact: true }).waitFor();
  await site.press('run.approve');
  await site.stop('plan-approval');
  await site.dialogue.getByLabel(site.t('run.reason'), { exact: true }).fill('looks well');
  await site.press('run.approve', site.dialogue);
  await site.sees('run.state.succeeded', {}, 240);
  await site.stop('plan-run');
  const run = await installation.get(`plan-runs/${page.url().split('/').at(-1)}`);
  assert.deepEqual([run.state, run.mode], ['succeeded', 'drill']);
  const approval = run.steps.find((step) => step.kind === 'approval');
  assert.deepEqual([approval.decided.by, approval.decided.reason], [site.user.name, 'looks well']);
  site.say('the plan is drilled, with an approval');
}

/** A plan that is not needed any more. */
export async function removed(site, name) {
  const { page, installation } = site;
  await site.open('/new-plan');
  await page.getByText(site.t('plan.edit.text'), { exact: true }).click();
  const text = JSON.stringify({ name, steps: [{ id: 'rest', do: { wait: { seconds: 1 } } }] });
  await page.locator('.source textarea').fill(text);
  await site.press('plan.save');
  await page.waitForURL(`**/plans/${name}`);
  await site.press('plan.remove');
  // Its page may ask for it once more before it is left.
  site.tolerate(new RegExp(`^GET plans/${name}(/.*)? 404$`));
  await site.press('plan.remove', site.dialogue);
  await page.waitForURL('**/plans');
  assert.equal((await installation.ask('GET', `/api/v1/plans/${name}`)).status, 404, 'it is gone');
  site.say('a plan is removed');
}
