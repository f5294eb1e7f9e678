// Signing in and out, and the first use of an installation, as one does it on the page.
import assert from 'node:assert/strict';

/** Fills the form of the first use, and sends it. */
export async function makeFirst(site, secret) {
  const { page, user } = site;
  await page.getByLabel(site.t('setup.secret'), { exact: true }).fill(secret);
  await page.getByLabel(site.t('signin.name'), { exact: true }).fill(user.name);
  await page.getByLabel(site.t('password.new'), { exact: true }).fill(user.password);
  await page.getByLabel(site.t('password.again'), { exact: true }).fill(user.password);
  await site.press('setup.do');
}

/** Fills the form of the sign-in page, and sends it. */
export async function giveName(site, name, password) {
  await site.page.getByLabel(site.t('signin.name'), { exact: true }).fill(name);
  await site.page.getByLabel(site.t('signin.password'), { exact: true }).fill(password);
  await site.page.keyboard.press('Enter');
}

/** Somebody is signed in: the pages are there. */
export async function isIn(site) {
  await site.page.locator('.shell').waitFor();
}

/** From an installation in either state to its first page, signed in. */
export async function enter(site) {
  const { installation, user } = site;
  site.expect('GET session 401');
  await site.open('/');
  if (user.secret !== null && (await installation.isNew())) await makeFirst(site, user.secret);
  else await giveName(site, user.name, user.password);
  await isIn(site);
  await installation.signIn(user.name, user.password);
}

export async function leave(site) {
  await site.press('shell.leave');
  await site.page.getByRole('heading', { name: 'BCDR Gateway' }).waitFor();
  assert.equal((await site.context.cookies()).length, 0, 'who signed out has no cookie');
}
