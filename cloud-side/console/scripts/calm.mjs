// What one does on a calm day, through the browser: a plan is written with a fault, put right, drilled and decided;
// volumes are restored in place and the restore is undone; an instant is chosen on the timeline and viewed. It needs
// no disk that boots. It changes what the lab's first group holds.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_TOKEN_FILE=…/token npm run calm
import assert from 'node:assert/strict';
import { open, report, signIn } from './browser.mjs';

const site = await open();
const { page, origin, complaints, get } = site;
const button = (name) => page.getByRole('button', { name, exact: true });
const until = async (what, asked, patience = 120_000) => {
  const end = Date.now() + patience;
  for (;;) {
    const found = await asked();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await page.waitForTimeout(500);
  }
};

async function plans(group) {
  const name = `calm-${Date.now().toString(36)}`;
  await page.goto(`${origin}/new-plan`);
  await page.getByLabel('Name', { exact: true }).fill(name);
  for (const kind of ['Approval', 'Group', 'Wait']) {
    await button('Add a step').click();
    await page.getByRole('menuitem', { name: kind, exact: true }).click();
  }
  await page.getByLabel('Seconds').fill('0');
  await page.getByLabel('What is asked').fill('Is <b>all</b> well? "{yes}"');
  await page.getByPlaceholder('Choose a group').click();
  await page.getByRole('option', { name: group, exact: true }).click();
  await button('Check and save').click();
  await page.getByText('it waits 0 seconds').first().waitFor();
  await page.getByText('Text (JSON)').click();
  // The line that the server's fault is about is marked.
  const marked = await page.locator('.source-lines li[data-wrong]').textContent();
  const lines = (await page.locator('.source textarea').inputValue()).split('\n');
  assert.match(lines[Number(marked) - 1], /"id": "wait"/);
  assert.equal((await get(`plans/${name}`)).status, 404, 'a plan with a fault is not kept');
  await page.getByText('Form', { exact: true }).click();
  await page.getByLabel('Seconds').fill('2');
  await button('Check and save').click();
  await page.waitForURL(`**/plans/${name}`);

  await button('Drill the plan').click();
  await button('Start drill').click();
  await page.waitForURL('**/plan-runs/*');
  const id = page.url().split('/').at(-1);
  await button('Release').click();
  await page.getByLabel('Reason (optional)').fill('looks well');
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
  const run = () => get(`plan-runs/${id}`);
  const held = await until('the drill', async () => {
    const now = await run();
    return ['paused', 'succeeded'].includes(now.state) && now;
  });
  if (held.state === 'paused') {
    await button('Skip').click();
    await page.getByLabel('Reason', { exact: true }).fill('the disk of this lab does not boot');
    await page.getByRole('dialog').getByRole('button', { name: 'Skip' }).click();
  }
  const ended = await until('the end of the run', async () => {
    const now = await run();
    return now.ended_at && now;
  });
  assert.match(ended.state, /^succeeded/);
  assert.equal(ended.steps[0].decided.reason, 'looks well');
  // What the page says is what the API says.
  await page
    .getByText(ended.state === 'succeeded' ? 'Succeeded' : 'Succeeded in part')
    .first()
    .waitFor();
  await page.goto(`${origin}/plans/${name}`);
  await button('Remove').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.waitForURL('**/plans');
}

async function restores(group) {
  await page.goto(`${origin}/groups/${group}`);
  await button('Create bookmark').click();
  const label = `calm-${Date.now().toString(36)}`;
  await page.getByRole('dialog').getByRole('textbox').first().fill(label);
  await page.getByRole('dialog').getByRole('button', { name: 'Create bookmark' }).click();
  await until('the bookmark', async () => (await get(`groups/${group}/points/${label}`)).label === label);
  await page.keyboard.press('Escape');
  await page.goto(`${origin}/groups/${group}/restores`);
  await button('Restore').click();
  const dialogue = page.getByRole('dialog');
  const start = dialogue.getByRole('button', { name: 'Restore', exact: true });
  await dialogue.getByText('By label or id').click();
  await dialogue.getByRole('textbox', { name: 'Label or id' }).fill(label);
  await dialogue.getByText('May differ').waitFor();
  await dialogue.locator('[data-confirm]').fill(group);
  assert.equal(await start.isEnabled(), false, 'nothing is restored under a machine that may run');
  await dialogue.getByRole('checkbox').check();
  await until('the button', () => start.isEnabled());
  await start.click();
  await page.waitForURL('**/restores/*');
  const first = page.url().split('/').at(-1);
  const ended = async (id) => (await get(`restores/${id}`)).end;
  assert.equal(await until('the restore', () => ended(first)), 'restored');
  await page.getByText('The machine can be started.').waitFor();
  await button('Undo it').click();
  await page.getByRole('dialog').locator('[data-confirm]').fill(group);
  await page.getByRole('dialog').getByRole('button', { name: 'Undo it' }).click();
  await page.waitForURL((url) => !url.pathname.endsWith(first) && url.pathname.startsWith('/restores/'));
  const second = page.url().split('/').at(-1);
  assert.equal(await until('the undo', () => ended(second)), 'restored');
  assert.equal((await get(`restores/${second}`)).undoes, first);
}

async function timeline(group) {
  await page.goto(`${origin}/groups/${group}/timeline`);
  await page.getByText('follows the present').waitFor();
  await button('Point before it').click();
  // What the page chose is what the API says of the same instant.
  const shown = await page
    .locator('section', { hasText: 'The point of this instant' })
    .locator('.id')
    .innerText();
  const field = await page.locator('input[type=datetime-local]').inputValue();
  assert.ok(field && shown);
  const point = await get(`groups/${group}/points/${shown}`);
  assert.equal(point.id, shown);
  const panel = page.locator('section', { hasText: 'The point of this instant' });
  await panel.getByRole('button', { name: 'Open view' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Open view' }).click();
  await page.waitForURL('**/views');
  const view = (await get(`views?group=${group}`)).items.find((one) => one.point.id === shown);
  assert.ok(view, 'the view is of the point that was chosen');
  await button('Close view').first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close view' }).click();
  await until('the view to be closed', async () => (await get(`views/${view.id}`)).status === 404);
}

try {
  const group = (await get('groups?limit=1')).items[0].name;
  await signIn(site, 'en', 'light');
  page.setDefaultTimeout(60_000);
  await plans(group);
  console.log('a plan was written, refused, put right, drilled and removed');
  await restores(group);
  console.log('volumes were restored in place, and that was undone');
  await timeline(group);
  console.log('an instant was chosen and viewed');
} finally {
  await site.close();
}
report(complaints);
