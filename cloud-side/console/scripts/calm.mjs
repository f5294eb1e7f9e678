// What one does on a calm day, through the browser: a plan is written with a fault, put right, drilled and decided;
// volumes are restored in place and the restore is undone; an instant is chosen on the timeline and viewed; an alert is
// taken on and muted; users and tokens come and go; what a viewer may not do is refused with its reason; and all of that
// is found in the audit log. axe looks at the pages of the last four. It needs no disk that boots. It changes what the
// lab's first group holds.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_TOKEN_FILE=…/token npm run calm
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { examine, open, report, signIn } from './browser.mjs';

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

const dialogue = page.getByRole('dialog');
/** Presses the button of a dialogue that is named like the one that opened it, and waits until it is done. */
const confirm = async (name) => {
  await dialogue.getByRole('button', { name, exact: true }).click();
  await dialogue.waitFor({ state: 'detached' });
};

async function alerts() {
  await page.goto(`${origin}/alerts`);
  await page
    .getByText(/Nothing is wrong|Lasts/)
    .first()
    .waitFor();
  await examine(site, 'alerts');
  const found = (await get('alerts?state=raised&limit=1')).items[0];
  if (!found) return false;
  // The count beside the pages is that of the API.
  const raised = (await get('alerts?state=raised&limit=100')).items.filter((alert) => !alert.muted).length;
  await page.locator('.rail-count').getByText(`${raised} that nobody took on`).waitFor({ state: 'attached' });
  await page.goto(`${origin}/alerts/${found.id}`);
  await button('Mute').click();
  await dialogue.getByText('This code').click();
  await examine(site, 'mute');
  await dialogue.getByLabel('Reason').fill('known <i>"here"</i>');
  await confirm('Mute');
  const shown = () => get(`alerts/${found.id}`);
  const { muted } = await until('the mute', async () => ((await shown()).muted ? shown() : null));
  assert.equal(muted.scope, 'code');
  assert.equal(muted.reason, 'known <i>"here"</i>');
  await button('Acknowledge').click();
  await dialogue.getByRole('textbox').fill('looked at');
  await confirm('Acknowledge');
  assert.equal((await shown()).acknowledged.note, 'looked at');
  await page.getByText('looked at').first().waitFor();
  await button('Unmute').click();
  await confirm('Unmute');
  assert.equal((await shown()).muted, null);
  await examine(site, 'alert');
  return true;
}

async function access() {
  const name = `calm-${Date.now().toString(36)}`;
  await page.goto(`${origin}/access`);
  await button('Make a user').click();
  await dialogue.getByLabel('Name', { exact: true }).fill(name);
  await dialogue.getByRole('textbox', { name: 'New password' }).fill('three blind mice');
  await dialogue.getByRole('textbox', { name: 'Password, once more' }).fill('three blind mouse');
  await dialogue.getByText('That is not the same password').waitFor();
  assert.equal(await dialogue.getByRole('button', { name: 'Make a user' }).isEnabled(), false);
  await dialogue.getByRole('textbox', { name: 'Password, once more' }).fill('three blind mice');
  await examine(site, 'user');
  await confirm('Make a user');
  const row = page.getByRole('row', { name: new RegExp(name) });
  const user = () => get(`users/${name}`);
  await row.getByRole('button', { name: 'Change role' }).click();
  await dialogue.getByRole('radio', { name: /^approver/ }).click();
  await confirm('Change role');
  assert.equal((await user()).role, 'approver');
  await row.getByRole('button', { name: 'Refuse signing in' }).click();
  await confirm('Refuse signing in');
  assert.equal((await user()).disabled, true);
  await row.getByRole('button', { name: 'Allow signing in' }).waitFor();
  await row.getByRole('button', { name: 'Remove' }).click();
  await dialogue.locator('[data-confirm]').fill(name);
  await confirm('Remove');
  assert.equal((await user()).status, 404);

  await button('Make a token').click();
  await dialogue.getByLabel('What it is for').fill(name);
  await examine(site, 'token');
  await dialogue.getByRole('button', { name: 'Make a token' }).click();
  const secret = await page.locator('[data-secret]').innerText();
  await page.keyboard.press('Escape');
  assert.ok(
    await page.locator('[data-secret]').isVisible(),
    'a secret that is shown once is not lost by a key',
  );
  await examine(site, 'made');
  await button('I have kept it').click();
  await page.locator('[data-secret]').waitFor({ state: 'detached' });
  await examine(site, 'access');
  return { name, secret };
}

/** What somebody sees who may only look: buttons that say why, and no page that is none of theirs. */
async function viewer(group, { name, secret }) {
  await signIn({ ...site, token: secret }, 'en', 'light');
  await page.goto(`${origin}/groups/${group}`);
  await button('Start drill').focus();
  await page.getByRole('tooltip').getByText('Your role, viewer, does not allow this').waitFor();
  for (const verb of ['Create bookmark', 'Open view', 'Start drill', 'Restore', 'Fail over']) {
    await button(verb).click({ force: true });
    assert.equal(await dialogue.count(), 0, `${verb} is for others`);
  }
  assert.equal(await page.getByRole('link', { name: 'Audit log' }).count(), 0);
  await page.goto(`${origin}/audit`);
  await page.getByText('Roles that do: administrator or auditor.').waitFor();
  await page.goto(`${origin}/access`);
  await page.getByText('Roles that do: administrator or auditor.').first().waitFor();
  await examine(site, 'viewer');
  await signIn(site, 'en', 'light');
  await page.goto(`${origin}/access`);
  const row = page.getByRole('row', { name: new RegExp(name) });
  await row.getByRole('button', { name: 'Revoke' }).click();
  await confirm('Revoke');
  await row.waitFor({ state: 'detached' });
}

async function audit(name) {
  await page.goto(`${origin}/audit`);
  await page.getByRole('textbox', { name: 'Action' }).fill('create_user');
  await page.keyboard.press('Escape');
  await page.getByRole('textbox', { name: 'Outcome' }).click();
  await page.getByRole('option', { name: 'allowed' }).click();
  await button('Show').click();
  await page.waitForURL((url) => url.searchParams.get('outcome') === 'allowed');
  const made = (await get('audit?action=create_user&outcome=allowed&limit=1')).items[0];
  await button(`Entry ${made.sequence}`).click();
  await dialogue.getByText(made.hash).waitFor();
  await dialogue.getByText(name, { exact: true }).first().waitFor();
  await examine(site, 'entry');
  await page.keyboard.press('Escape');
  const [kept] = await Promise.all([page.waitForEvent('download'), button('Export the log').click()]);
  const lines = (await readFile(await kept.path(), 'utf8')).trim().split('\n');
  assert.ok(lines.some((line) => line.includes(made.hash)));
  await examine(site, 'audit');
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
  console.log(
    (await alerts()) ? 'an alert was muted, taken on and unmuted' : 'there was no alert to take on',
  );
  const made = await access();
  console.log('a user came and went, and a token was made');
  await viewer(group, made);
  console.log('what a viewer may not do was refused with its reason');
  await audit(made.name);
  console.log('all of that was found in the audit log');
} finally {
  await site.close();
}
report(complaints);
