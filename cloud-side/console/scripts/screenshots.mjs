// Renders every page of the console from a live installation, in both languages, light and dark, wide and narrow,
// behind the content security policy that the server has to send. Fails when a page breaks it, logs an error, or is
// found by axe to keep somebody out.
//
//   BCDR_API=https://127.0.0.1:PORT BCDR_CA=…/ca.pem BCDR_TOKEN_FILE=…/token npm run screenshots [-- NAME…]
//
// The pictures are in screenshots/. Only the pages whose name begins with one of NAME are rendered if any
// is given, and only the looks that begin with --look=….
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { examine, open, report, signIn } from './browser.mjs';
import { staged } from './staged.mjs';

const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
/** Such as `--look=zh-dark`. */
const lookWanted = process.argv.find((word) => word.startsWith('--look='))?.slice('--look='.length) ?? '';
const folder = new URL('../screenshots/', import.meta.url).pathname;
await mkdir(folder, { recursive: true });
const site = await open();
const { page, origin, complaints, get } = site;

/** The newest of a list, or nothing. */
const newest = async (list) => (await get(`${list}?limit=1`)).items?.[0];

/** Opens a dialogue of the group by its button, if that is allowed now. */
const press = (en, zh) => async (language) => {
  const button = page.getByRole('button', { name: language === 'zh' ? zh : en, exact: true }).first();
  if ((await button.count()) > 0 && (await button.isEnabled())) await button.click();
};

/** Takes one of the ways of a switch. */
const choose = (en, zh) => async (language) => {
  await page
    .getByText(language === 'zh' ? zh : en, { exact: true })
    .first()
    .click();
};

const looks = [
  { language: 'en', scheme: 'light', width: 1440 },
  { language: 'zh', scheme: 'dark', width: 1440 },
  { language: 'zh', scheme: 'light', width: 1440 },
  { language: 'en', scheme: 'dark', width: 1440 },
  { language: 'en', scheme: 'light', width: 480 },
].filter(({ language, scheme, width }) => `${language}-${scheme}-${width}`.startsWith(lookWanted));

try {
  const first = await newest('groups');
  const group = first?.name;
  const placement = await get(`groups/${group}/placement`);
  const plan = await newest('plans');
  const shown = async (list, path = list) => {
    const item = await newest(list);
    return item && `/${path}/${item.id}`;
  };
  const pages = [
    { name: 'groups', path: '/', settle: 3500 },
    { name: 'group-now', path: `/groups/${group}`, settle: 5000 },
    { name: 'group-timeline', path: `/groups/${group}/timeline`, settle: 3500 },
    { name: 'group-points', path: `/groups/${group}/points` },
    { name: 'group-drills', path: `/groups/${group}/drills` },
    { name: 'group-moves', path: `/groups/${group}/moves` },
    { name: 'group-views', path: `/groups/${group}/views` },
    { name: 'group-restores', path: `/groups/${group}/restores` },
    { name: 'group-reports', path: `/groups/${group}/reports` },
    { name: 'group-jobs', path: `/groups/${group}/jobs` },
    { name: 'plans', path: '/plans' },
    { name: 'plan', path: plan && `/plans/${plan.name}`, settle: 1200 },
    { name: 'plan-edit', path: plan && `/plans/${plan.name}/edit` },
    {
      name: 'plan-text',
      path: plan && `/plans/${plan.name}/edit`,
      after: choose('Text (JSON)', '文本（JSON）'),
    },
    { name: 'plan-new', path: '/new-plan' },
    { name: 'plan-run', path: await shown('plan-runs') },
    { name: 'drills', path: '/drills' },
    { name: 'drill', path: await shown('drills'), settle: 1500 },
    { name: 'moves', path: '/moves' },
    { name: 'failover', path: await shown('failovers') },
    { name: 'failback', path: await shown('failbacks') },
    { name: 'restores', path: '/restores' },
    { name: 'restore', path: await shown('restores') },
    { name: 'jobs', path: '/jobs' },
    { name: 'job', path: await shown('jobs') },
    { name: 'reports', path: '/reports' },
    { name: 'report', path: await shown('reports') },
    { name: 'views', path: '/views' },
    { name: 'alerts', path: '/alerts' },
    { name: 'alert', path: await shown('alerts') },
    {
      name: 'dialogue-mute',
      path: await shown('alerts'),
      after: press('Mute', '屏蔽'),
    },
    { name: 'access', path: '/access' },
    { name: 'dialogue-user', path: '/access', after: press('Make a user', '创建用户') },
    { name: 'dialogue-token', path: '/access', after: press('Make a token', '创建令牌') },
    { name: 'audit', path: '/audit' },
    { name: 'system', path: '/system' },
    { name: 'dialogue-drill', path: `/groups/${group}`, after: press('Start drill', '启动演练') },
    { name: 'dialogue-failover', path: `/groups/${group}`, after: press('Fail over', '故障切换') },
    { name: 'dialogue-bookmark', path: `/groups/${group}`, after: press('Create bookmark', '创建书签') },
    { name: 'dialogue-view', path: `/groups/${group}`, after: press('Open view', '打开视图') },
    { name: 'dialogue-restore', path: `/groups/${group}`, after: press('Restore', '还原') },
    {
      name: 'dialogue-plan-drill',
      path: plan && `/plans/${plan.name}`,
      after: press('Drill the plan', '演练此计划'),
    },
    {
      name: 'dialogue-plan-failover',
      path: plan && `/plans/${plan.name}`,
      after: press('Fail over by plan', '按计划切换'),
    },
    ...staged(first, placement),
    { name: 'dialogue-schedule', path: `/groups/${group}/drills`, after: press('Change', '修改') },
  ].filter(
    ({ name, path }) => path && (wanted.length === 0 || wanted.some((start) => name.startsWith(start))),
  );

  for (const { language, scheme, width } of looks) {
    await page.setViewportSize({ width, height: 900 });
    const look = `${language}-${scheme}-${width}`;
    await signIn(site, language, scheme);
    for (const { name, path, settle = 600, after, answers = {} } of pages) {
      for (const [route, body] of Object.entries(answers)) {
        await page.route(
          (url) => url.pathname === `/api/v1/${route}`,
          (asked) => asked.fulfill({ json: body, headers: { date: new Date().toUTCString() } }),
        );
      }
      await page.goto(origin + path);
      await page.locator('h1').waitFor();
      await page.waitForTimeout(settle);
      if (after) {
        await after(language);
        await page.waitForTimeout(700);
      }
      await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: !after });
      await examine(site, `${name}-${look}`);
      await page.unrouteAll({ behavior: 'ignoreErrors' });
    }
    if (wanted.length > 0) continue;
    await page.evaluate(() => sessionStorage.clear());
    for (const [name, required] of [
      ['signin', false],
      ['setup', true],
    ]) {
      await page.route(
        (url) => url.pathname === '/api/v1/setup',
        (asked) => asked.fulfill({ json: { required } }),
      );
      await page.goto(origin);
      await page.locator('input[type=password]').first().waitFor();
      await page.screenshot({ path: join(folder, `${name}-${look}.png`) });
      await examine(site, `${name}-${look}`);
      await page.unrouteAll({ behavior: 'ignoreErrors' });
    }
  }
} finally {
  await site.close();
}
report(complaints);
