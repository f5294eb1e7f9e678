// The first use: the installation says that it has no administrator, the page asks for the one-time secret, and from
// then on for a name and a password.
import assert from 'node:assert/strict';
import { giveName, isIn, leave, makeFirst } from '../signing.mjs';

/** Makes the first administrator with the secret, which then is worth nothing any more. */
export async function firstUse(site) {
  const { page, installation, user } = site;
  assert.equal(await installation.isNew(), true, 'the installation has no administrator yet');
  assert.equal((await installation.ask('GET', '/api/v1/groups')).status, 401, 'nobody sees anything before');
  site.expect('GET session 401');
  await site.open('/plans');
  await site.sees('setup.what');
  await hasFocus(site, 'setup.secret');
  await site.stop('first-use');

  site.expect('POST setup 403');
  await makeFirst(site, `${user.secret.slice(0, -1)}${user.secret.endsWith('0') ? '1' : '0'}`);
  await site.sees('problem.code.wrong_secret');
  assert.equal(await installation.isNew(), true, 'a wrong secret makes nobody');

  await makeFirst(site, user.secret);
  await isIn(site);
  await site.titled('nav.plans');
  assert.equal(await installation.isNew(), false, 'there is an administrator now');
  const again = { secret: user.secret, name: 'another', password: user.password };
  const refused = await installation.ask('POST', '/api/v1/setup', again);
  assert.equal(refused.status, 409, `the secret works once: ${JSON.stringify(refused.body)}`);
  site.say('the first administrator is made with the one-time secret, once');

  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read the session');
  await page.reload();
  await isIn(site);
  await leave(site);
  await site.sees('signin.title', {}, 30);
  await hasFocus(site, 'signin.name');
}

/** The field with this name is the one that is typed into without anything being pressed before. */
async function hasFocus(site, key) {
  const field = site.page.getByLabel(site.t(key), { exact: true });
  await field.waitFor();
  assert.ok(await field.evaluate((one) => one === document.activeElement), `${key} has the focus`);
}

/** Name and password sign in; the session here is beside the browser's, for what is compared. */
export async function signIn(site) {
  const { page, installation, user } = site;
  if (user.secret === null) {
    site.expect('GET session 401');
    await site.open('/');
  } else {
    // Only on a new installation: failures are remembered for a while, and the next story must not have to wait.
    site.expect('POST session 401');
    await giveName(site, user.name, `${user.password}?`);
    await site.sees('problem.code.wrong_password');
    await site.stop('wrong-password');
  }
  await giveName(site, user.name, user.password);
  await isIn(site);
  const who = page.locator('.who');
  await who.getByText(user.name).waitFor();
  await who.getByText(site.t('role.admin')).waitFor();
  await installation.signIn(user.name, user.password);
  site.say('name and password sign in, and a wrong password does not');
}
