// Pictures of every page, in both languages, light and dark, wide and narrow, from a lab that the story was run on.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_NAME=… BCDR_PASSWORD=… npm run screenshots [-- NAME…]
//
// Only the pages whose name begins with one of NAME if any is given, and only the looks that begin with --look=…, such
// as --look=zh-dark. The settings are in browser.mjs.
import { drive } from './browser.mjs';
import { look, nameOf } from './looks.mjs';
import { left, others, pages, viewing, visit } from './pages.mjs';
import { enter, leave } from './signing.mjs';

const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const lookWanted = process.argv.find((word) => word.startsWith('--look='))?.slice('--look='.length) ?? '';
const LOOKS = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'zh', scheme: 'dark', width: 1440 },
  { language: 'zh', scheme: 'light', width: 1440 },
  { language: 'en', scheme: 'dark', width: 1440 },
  { language: 'en', scheme: 'light', width: 480 },
].filter((one) => nameOf(one).startsWith(lookWanted));

await drive('screenshots', async (site) => {
  await enter(site);
  const known = await pages(site);
  const all = [...known, ...(await others(site, known))].filter(
    ({ name }) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)),
  );
  await viewing(site, async () => {
    for (const one of LOOKS) {
      await site.open('/');
      await look(site, one);
      for (const page of all) {
        await visit(site, page);
        await site.picture(`${page.name}-${nameOf(one)}`, !page.after);
        await left(site);
      }
      site.say(`${all.length} pages, ${nameOf(one)}`);
    }
  });
  // What one sees before one is signed in.
  await site.open('/');
  await leave(site);
  for (const one of LOOKS) {
    await look(site, one);
    await site.settled();
    await site.picture(`signin-${nameOf(one)}`);
  }
});
