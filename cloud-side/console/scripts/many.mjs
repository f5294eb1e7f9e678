// A hundred thousand recovery points in a group, and a thousand groups: answers of the API are altered on their way to
// the page, which has to draw no more for them than can be told apart. What it takes is printed, and is no criterion:
// machines differ. On any lab.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_NAME=… BCDR_PASSWORD=… npm run many
//
// The settings are in browser.mjs.
import assert from 'node:assert/strict';
import { drive } from './browser.mjs';
import { enter, leave } from './signing.mjs';

const POINTS = 100_000;
/** More than the API gives at once, so that they are there with few requests. */
const AT_ONCE = 10_000;
const GROUPS = 1000;
/** What a page may consist of, however much there is. */
const ELEMENTS_MOST = 8000;

function point(group, index) {
  const time = new Date(Date.now() - index * 6000);
  return {
    id: `1-${POINTS - index}`,
    group: group.id,
    kind: index % 500 === 0 ? 'bookmark' : 'crash_consistent',
    label: index % 500 === 0 ? `mark-${index}` : null,
    time: time.toISOString(),
    covers_until: new Date(time.getTime() + (index % 700 === 0 ? 100 : 5900)).toISOString(),
    position: `1-${POINTS - index}`,
    unknown_ranges: [],
  };
}

async function alter(site, group) {
  const all = Array.from({ length: POINTS }, (_, index) => point(group, index));
  await site.page.route(
    (url) => url.pathname === `/api/v1/groups/${group.name}/points`,
    (asked) => {
      const query = new URL(asked.request().url()).searchParams;
      const from = Number(query.get('cursor') ?? 0);
      const to = from + (query.get('limit') === '1000' ? AT_ONCE : Number(query.get('limit')));
      const next_cursor = to < POINTS ? String(to) : null;
      return asked.fulfill({ json: { items: all.slice(from, to), next_cursor } });
    },
  );
  const many = Array.from({ length: GROUPS }, (_, index) => ({
    ...group,
    id: `${group.id}-${index}`,
    name: index === 0 ? group.name : `group-${index}`,
  }));
  await site.page.route(
    (url) => url.pathname === '/api/v1/groups',
    (asked) => asked.fulfill({ json: { items: many, next_cursor: null } }),
  );
  await site.page.route(
    (url) => /\/groups\/group-\d+\/samples$/.test(url.pathname),
    (asked) => asked.fulfill({ json: { group: 'x', group_name: 'x', step_seconds: 3600, items: [] } }),
  );
}

/** How many elements the page has, and how long it was not to be spoken to within some seconds. */
async function look(site, name, doing = async () => {}) {
  await site.page.evaluate(() => {
    window.busy = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.busy.push(duration);
    }).observe({ type: 'longtask' });
  });
  const began = Date.now();
  await doing();
  const took = Date.now() - began;
  await site.page.waitForTimeout(5000);
  const { elements, busy } = await site.page.evaluate(() => ({
    elements: document.querySelectorAll('*').length,
    busy: window.busy,
  }));
  const longest = Math.round(Math.max(0, ...busy));
  site.say(
    `${name}: ${elements} elements; ${took} ms; ${busy.length} long tasks, the longest of ${longest} ms`,
  );
  assert.ok(elements < ELEMENTS_MOST, `${name} consists of ${elements} elements`);
}

await drive('many', async (site) => {
  const { page } = site;
  await enter(site);
  const group = await site.installation.newest('groups');
  await alter(site, await site.installation.get(`groups/${group.name}`));

  await site.open(`/groups/${group.name}/points`);
  await site.settled();
  await look(site, 'points');

  await site.open(`/groups/${group.name}/timeline`);
  await site.sees('line.follows');
  const older = site.button('line.older');
  for (let loaded = AT_ONCE; loaded < POINTS; loaded += AT_ONCE) {
    await older.click();
    await page
      .getByText(site.t('line.points.what', { count: loaded + AT_ONCE }))
      .first()
      .waitFor();
  }
  await page.getByText(site.t('line.all'), { exact: true }).click();
  await look(site, 'timeline, all');
  await look(site, 'timeline, the slider moved 40 times', async () => {
    await page.locator('#instant').focus();
    for (let step = 0; step < 40; step += 1) await page.keyboard.press('ArrowLeft');
  });

  await site.open('/');
  await site.settled();
  await look(site, 'overview');
  await site.open('/groups');
  await site.settled();
  await look(site, 'groups');
  await site.open('/infrastructure');
  await site.settled();
  await look(site, 'infrastructure');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await leave(site);
});
