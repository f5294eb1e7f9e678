// Whether everybody can use the console: every page, and every dialogue, in both languages, light and dark, wide and
// narrow, is looked at by axe; nothing is cut off at the side; each page can be walked with the keyboard alone, and one
// sees where one is; a dialogue takes the focus, keeps it, and gives it back. On a lab that the story was run on.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_NAME=… BCDR_PASSWORD=… npm run calm [-- NAME…]
//
// Only the pages whose name begins with one of NAME if any is given. The settings are in browser.mjs.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { drive } from './browser.mjs';
import { look, nameOf } from './looks.mjs';
import { left, others, pages, viewing, visit } from './pages.mjs';
import { enter, leave } from './signing.mjs';
import { walk, walkDialogue } from './walk.mjs';
import { KEYS } from './words.mjs';

const LOOKS = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'zh', scheme: 'dark', width: 1440 },
  { language: 'zh', scheme: 'light', width: 480 },
];
const wanted = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds: names, roles, order, contrast. */
async function axeOn(site, name) {
  await site.page.evaluate(axe);
  const violations = await site.page.evaluate(async () => {
    const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
    const found = await window.axe.run(document, { runOnly, resultTypes: ['violations'], iframes: false });
    return found.violations.map(({ id, help, nodes }) => ({
      id,
      help,
      nodes: nodes.map(({ html, any }) => ({ html, any: any.map(({ message }) => ({ message })) })),
    }));
  });
  for (const { id, help, nodes } of violations) {
    const where = nodes
      .slice(0, 3)
      .map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`)
      .join(' | ');
    site.complaints.push(`${name}: ${id}: ${help}: ${where}`);
  }
}

/** Nothing is cut off, and no key stands where its words should. */
async function plainOn(site, name) {
  const { page } = site;
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wider > 0) site.complaints.push(`${name}: the page is ${wider} px wider than the window`);
  const text = await page.locator('body').innerText();
  const lines = new Set(text.split('\n').map((line) => line.trim()));
  for (const key of KEYS)
    if (lines.has(key)) site.complaints.push(`${name}: ${key} is shown without its words`);
  if (!(await page.title()).includes('BCDR Gateway')) site.complaints.push(`${name}: the page has no title`);
}

async function examine(site, name) {
  await axeOn(site, name);
  await plainOn(site, name);
}

await drive('calm', async (site) => {
  site.expect('GET session 401');
  await site.open('/');
  await site.page.getByRole('heading', { name: 'BCDR Gateway' }).waitFor();
  for (const one of LOOKS) {
    await look(site, one);
    await site.settled();
    await examine(site, `first-${nameOf(one)}`);
  }
  await enter(site);
  const known = await pages(site);
  const all = [...known, ...(await others(site, known))].filter(
    ({ name }) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)),
  );
  await viewing(site, async () => {
    for (const [round, one] of LOOKS.entries()) {
      await site.open('/');
      await look(site, one);
      for (const page of all) {
        const name = `${page.name}-${nameOf(one)}`;
        await visit(site, page);
        await examine(site, name);
        if (round === 0 && page.name.startsWith('dialogue-')) await walkDialogue(site, name);
        else if (round === 0 && !page.after) await walk(site, name);
        await left(site);
      }
      site.say(`${all.length} pages were looked at, ${nameOf(one)}`);
    }
  });
  await site.open('/');
  await leave(site);
});
