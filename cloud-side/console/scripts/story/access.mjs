// Who may do what: somebody who may only look is told why a button is none of his, and loses the session with the
// user; a token is good until it is revoked.
import assert from 'node:assert/strict';
import { giveName } from '../signing.mjs';

const WHY = /\{role\}(.*?)\{permission\}/;

/** A user who may only look, made on the page. */
async function make(site, name, password) {
  const { dialogue } = site;
  await site.open('/access');
  await site.press('users.create');
  await dialogue.getByLabel(site.t('users.name'), { exact: true }).fill(name);
  await dialogue.getByLabel(site.t('password.new'), { exact: true }).fill(password);
  await dialogue.getByLabel(site.t('password.again'), { exact: true }).fill(`${password}?`);
  await site.sees('password.differs');
  await dialogue.getByLabel(site.t('password.again'), { exact: true }).fill(password);
  await site.press('users.create', dialogue);
  await dialogue.waitFor({ state: 'hidden' });
  const { role } = await site.installation.get(`users/${name}`);
  assert.equal(role, 'viewer', 'who is made without a choice may only look');
}

/** What a viewer sees: everything, and of what is for others why it is so. */
async function look(site, group, name, password) {
  const viewer = await site.somebodyElse();
  viewer.expect('GET session 401');
  await viewer.open(`/groups/${group}`);
  await giveName(viewer, name, password);
  await viewer.sees('answer.protected', {}, 60);
  const [, why] = WHY.exec(viewer.t('may.refused', { role: '{role}', permission: '{permission}' }));
  for (const verb of ['bookmark.do', 'view.do', 'drill.do', 'restore.do', 'failover.do']) {
    const button = viewer.button(verb);
    assert.equal(await button.getAttribute('aria-disabled'), 'true', `${verb} is for others`);
    const described = await button.getAttribute('aria-describedby');
    const told = await viewer.page.locator(`[id="${described}"]`).textContent();
    assert.ok(told.includes(why.trim()), `${verb} says why: ${told}`);
  }
  await viewer.button('drill.do').focus();
  await viewer.page.getByRole('tooltip').filter({ hasText: why.trim() }).waitFor();
  await viewer.stop('viewer');
  assert.equal(await viewer.hasPlace('/audit'), false, 'the audit log is none of a viewer');
  return viewer;
}

export async function access(site, group, run) {
  const { page, dialogue, installation } = site;
  const name = `viewer-${run}`;
  await make(site, name, `three blind mice ${run}`);
  const viewer = await look(site, group, name, `three blind mice ${run}`);
  const row = page.getByRole('row').filter({ hasText: name });
  await site.press('users.remove', row);
  await site.confirm(name);
  viewer.expectSignedOut();
  await site.press('users.remove', dialogue);
  await row.waitFor({ state: 'detached' });
  assert.equal((await installation.ask('GET', `/api/v1/users/${name}`)).status, 404);
  await viewer.page.getByRole('alert').getByText(viewer.t('signin.expired')).waitFor();
  await viewer.context.close();
  site.say('a viewer is told what is for others, and is out when the user is removed');
}

/** A token of the least rights, whose secret is shown once. */
export async function token(site, run) {
  const { page, dialogue, installation } = site;
  const name = `program-${run}`;
  await site.open('/access');
  await site.press('tokens.create');
  await dialogue.getByLabel(site.t('tokens.name'), { exact: true }).fill(name);
  await site.press('tokens.create', dialogue);
  const shown = page.locator('[data-secret]');
  const secret = (await shown.innerText()).trim();
  await page.keyboard.press('Escape');
  assert.ok(await shown.isVisible(), 'a secret that is shown once is not lost by a key');
  await site.press('tokens.made.kept');
  await shown.waitFor({ state: 'detached' });
  const asked = () => installation.ask('GET', '/api/v1/groups', undefined, `Bearer ${secret}`);
  assert.equal((await asked()).status, 200, 'the token is good');
  const row = page.getByRole('row').filter({ hasText: name });
  await site.press('tokens.revoke', row);
  await site.press('tokens.revoke', dialogue);
  await row.waitFor({ state: 'detached' });
  assert.equal((await asked()).status, 401, 'what the page revoked is worth nothing');
  site.say('a token is made, used and revoked');
}
