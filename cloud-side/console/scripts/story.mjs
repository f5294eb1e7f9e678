// The whole way in a browser, as somebody goes it who has just installed the product: the first use with the one-time
// secret, a calm day, a drill, a plan, a restore and its undo, an emergency failover, and home again; the way home in
// the other language. Each step is believed only when the page says that it happened and the API says the same. It
// needs a lab whose disks boot, and moves its production: labs only.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_SETUP_SECRET=$(cat …/setup-secret) npm run story
//
// The settings are in browser.mjs. Pictures of each stop are story-*.png.
import assert from 'node:assert/strict';
import { drive } from './browser.mjs';
import { giveName, isIn, leave } from './signing.mjs';
import { access, token } from './story/access.mjs';
import { audit } from './story/audit.mjs';
import { drillOf } from './story/drill.mjs';
import { failBack } from './story/failback.mjs';
import { failOver } from './story/failover.mjs';
import { firstUse, signIn } from './story/firstUse.mjs';
import { plan, removed } from './story/plan.mjs';
import { bookmark, instant, isProtected, silence } from './story/protectedDay.mjs';
import { restoreAndUndo } from './story/restore.mjs';

await drive('story', async (site) => {
  const run = Date.now().toString(36);
  const label = `by-browser-${run}`;
  if (site.user.secret !== null) await firstUse(site);
  await signIn(site);
  const { name: group, placement } = await site.installation.newest('groups');
  assert.equal(placement, 'source_active', 'production has to be at the source to begin with');

  await isProtected(site, group);
  await silence(site, group);
  await bookmark(site, group, label);
  await instant(site, group);
  await plan(site, group, `plan-${run}`);
  await removed(site, `unneeded-${run}`);
  await drillOf(site, group, label);
  await access(site, group, run);
  await token(site, run);
  await audit(site, 'create_user');
  await restoreAndUndo(site, group, label);
  await isProtected(site, group);
  await failOver(site, group, label);

  await site.speak(site.language === 'en' ? 'zh' : 'en');
  await site.stop('other-language');
  await failBack(site, group);
  await leave(site);
  await site.sees('signin.title');
  await giveName(site, site.user.name, site.user.password);
  await isIn(site);
  await site.sees('answer.protected');
  site.say('the way home was made in the other language');
});
