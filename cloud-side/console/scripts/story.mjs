// The whole way in a browser, against a live lab whose first volume boots: a wrong token, sign-in, a bookmark, a
// drill, an emergency failover to it, commit, failback, cutover, commit. Each step is taken as an operator takes it, and
// is believed only when the page says that it happened. It changes where production runs: labs only.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_TOKEN_FILE=…/token npm run story
//
// `-- --without-drill` leaves the drill out. Pictures of each stop are in screenshots/story-*.png.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { open, report, signIn } from './browser.mjs';

const folder = new URL('../screenshots/', import.meta.url).pathname;
await mkdir(folder, { recursive: true });
const site = await open();
const { page, origin, complaints, get } = site;

const began = Date.now();
const label = `by-browser-${began}`;
let stop = 0;
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const picture = async (name) => {
  stop += 1;
  await page.screenshot({ path: join(folder, `story-${String(stop).padStart(2, '0')}-${name}.png`) });
};
const button = (name, within = page) => within.getByRole('button', { name, exact: true });
const dialogue = () => page.getByRole('dialog');
/** The page says so, within this time. */
const sees = (text, seconds = 30) =>
  page
    .getByText(text, { exact: true })
    .first()
    .waitFor({ timeout: seconds * 1000 });

/** A drill of the bookmark, and its report. */
async function drillOf(group, label) {
  await button('Start drill').click();
  await dialogue().getByText('By label or id').click();
  await dialogue().getByRole('textbox', { name: 'Label or id' }).fill(label);
  await picture('drill-dialogue');
  await button('Start drill', dialogue()).click();
  await page.getByRole('heading', { name: `Drill of ${group}` }).waitFor();
  await page.waitForTimeout(6000);
  await picture('drill-running');
  await page.locator('.badges').getByText('passed', { exact: true }).waitFor({ timeout: 300_000 });
  await sees('nothing is left');
  await page.waitForTimeout(1500);
  await picture('drill-passed');
  say('a drill of the bookmark passed, and nothing is left of it');

  await page.getByRole('link', { name: 'Signed report' }).click();
  await sees('signature holds');
  await picture('report');
  say('the signature of its report holds');
}

/** What is done while production is at the source. */
async function protectedDay(group) {
  await page.getByRole('link', { name: group, exact: true }).first().click();
  await sees('Protected: every write follows.');
  say('the group says that it is protected');

  await page.route('**/api/**', (route) => route.abort());
  await page.getByRole('alert').getByText('No answer from the API').waitFor();
  await sees('How it is now is unknown.', 30);
  assert.equal(await page.locator('main .badge[data-tone="good"]').count(), 0, 'nothing unknown is green');
  assert.equal(await button('Fail over').getAttribute('aria-disabled'), 'true', 'nothing is done blindly');
  await picture('api-gone');
  await page.unroute('**/api/**');
  await sees('Protected: every write follows.');
  say('when the API is gone the page says so, and recovers with it');

  await button('Create bookmark').click();
  await dialogue().getByLabel('Label, unique in the group').fill(label);
  await button('Create bookmark', dialogue()).click();
  await dialogue().getByText('Published:').waitFor({ timeout: 30_000 });
  await picture('bookmark');
  await button('Close', dialogue()).last().click();
  say('a bookmark is published');

  if (!process.argv.includes('--without-drill')) await drillOf(group, label);
}

/** An emergency failover to the bookmark. */
async function startFailover(group, point) {
  await page.goto(`${origin}/groups/${group}`);
  await button('Fail over').click();
  await dialogue().getByText('Nothing is lost: all that').waitFor();
  await dialogue()
    .getByRole('radio', { name: /Emergency/ })
    .click();
  await dialogue().getByText('By label or id').click();
  await dialogue().getByRole('textbox', { name: 'Label or id' }).fill(point);
  await dialogue().getByText('written and lost').waitFor();
  const start = button('Fail over', dialogue());
  assert.equal(await start.isDisabled(), true, 'a failover needs the typed name');
  await page.locator('[data-confirm]').fill('another-group');
  assert.equal(await start.isDisabled(), true, 'another name is no confirmation');
  await page.locator('[data-confirm]').fill(group);
  // The lab's capture serves: somebody has to vouch that nobody writes to it.
  assert.equal(await start.isDisabled(), true, 'a source that serves needs somebody who vouches for it');
  await dialogue()
    .getByRole('checkbox', { name: /I have isolated the source myself/ })
    .check();
  await picture('failover-dialogue');
  await start.click();
  await page.getByRole('heading', { name: `Failover of ${group}` }).waitFor();
  await page.waitForTimeout(5000);
  await picture('failover-running');
}

try {
  const group = (await get('groups?limit=1')).items[0].name;

  await page.goto(origin);
  await page.evaluate(() => localStorage.setItem('bcdr.language', 'en'));
  await page.goto(origin);
  await page.locator('input[type=password]').fill('bcdr_not-a-token');
  await page.keyboard.press('Enter');
  await sees('The token is not known here');
  await picture('wrong-token');
  say('a wrong token is refused, with its remedy');

  await signIn(site, 'en', 'light');
  const { placement } = (await get('groups?limit=1')).items[0];
  if (placement === 'source_active') {
    await protectedDay(group);
    await startFailover(group, label);
  } else {
    // An earlier run stopped on its way: go on with its failover.
    await page.goto(`${origin}/failovers/${(await get('failovers?limit=1')).items[0].id}`);
  }
  // The lab's capture goes on serving, so two sites may be taking writes: an operator says which is kept.
  const standing = async () => (await get(`groups/${group}/placement`)).state;
  for (let waited = 0; waited < 20 && (await standing()) !== 'split_brain_suspected'; waited += 1) {
    await page.waitForTimeout(1000);
  }
  if ((await standing()) === 'split_brain_suspected') {
    await page.goto(`${origin}/groups/${group}`);
    await sees('Two sites may be taking writes. Say which is kept.');
    await picture('split-brain');
    await button('Keep the target').click();
    await page.locator('[data-confirm]').fill(group);
    await picture('keep-dialogue');
    await button('Keep the target', dialogue()).click();
    await dialogue().waitFor({ state: 'hidden', timeout: 60_000 });
    say('the target is kept');
    await page.goto(`${origin}/failovers/${(await get('failovers?limit=1')).items[0].id}`);
  }
  await page.locator('.badges').getByText('waits for you', { exact: true }).waitFor({ timeout: 300_000 });
  await picture('failover-decide');
  say('a failover awaits its decision');

  await page.goto(origin);
  await sees('Failover awaits a decision');
  await picture('inbox');
  await page.goBack();
  await button('Commit').click();
  await page.locator('[data-confirm]').fill(group);
  await picture('commit-dialogue');
  await button('Commit', dialogue()).click();
  await page.locator('.badges').getByText('committed', { exact: true }).waitFor({ timeout: 60_000 });
  await page.goto(`${origin}/groups/${group}`);
  await sees('Production runs at the target. What it writes there is not protected.');
  await picture('at-target');
  say('production belongs to the target');

  await button('Fail back').click();
  await picture('failback-dialogue');
  await button('Fail back', dialogue()).click();
  await page.getByRole('heading', { name: `Failback of ${group}` }).waitFor();
  await button('Confirm disks').click({ timeout: 120_000 });
  const { id } = (await get('failbacks?limit=1')).items[0];
  for (const disk of (await get(`failbacks/${id}`)).disks) {
    await dialogue().getByLabel(`Type the serial of ${disk.volume_name}: ${disk.serial}`).fill(disk.serial);
  }
  await picture('disks-dialogue');
  await button('Confirm disks', dialogue()).click();
  say('the disks at home are confirmed');
  await page.getByRole('heading', { name: 'Home follows' }).waitFor({ timeout: 300_000 });
  await picture('home-follows');
  await button('Cut over').click();
  await page.locator('[data-confirm]').fill(group);
  await picture('cutover-dialogue');
  await button('Cut over', dialogue()).click();
  await page.getByRole('heading', { name: 'Await the decision' }).waitFor({ timeout: 300_000 });
  await sees('proven by digest');
  await picture('home-decide');
  say('home serves, proven equal by digest');
  await button('Commit').click();
  await page.locator('[data-confirm]').fill(group);
  await button('Commit', dialogue()).click();
  await page.locator('.badges').getByText('committed', { exact: true }).waitFor({ timeout: 300_000 });
  await picture('failback-committed');
  await page.goto(`${origin}/groups/${group}`);
  await sees('Protected: every write follows.', 120);
  await picture('home-again');
  say('production is at home and protected again');
} catch (error) {
  await picture('failed').catch(() => {});
  throw error;
} finally {
  await site.close();
}
report(complaints);
