// All pages of the console on a lab that the story was run on, and the dialogues that somebody opens from them.
import { staged } from './staged.mjs';

/** Opens a dialogue by its button, and something in it by another. */
const press = (key, then) => async (site) => {
  await site.press(key);
  await site.dialogue.waitFor();
  if (then) await site.press(then, site.dialogue);
};

/** Takes one of the ways of a switch. */
const choose = (key) => (site) => site.page.getByText(site.t(key), { exact: true }).first().click();

/** The page of the newest of a list. */
async function newest(installation, list) {
  const item = await installation.newest(list);
  if (!item) throw new Error(`there is nothing among the ${list} of this lab: run the story on it first`);
  return item;
}

/**
 * Each with the name of its picture, where it is, and what is done on it. `answers` are what the API is made to have
 * said, for states that a lab reaches rarely.
 */
export async function pages({ installation }) {
  const first = await newest(installation, 'groups');
  const group = `/groups/${encodeURIComponent(first.name)}`;
  const plan = `/plans/${(await newest(installation, 'plans')).name}`;
  const of = async (list) => `/${list}/${(await newest(installation, list)).id}`;
  const placement = await installation.get(`groups/${first.name}/placement`);
  return [
    { name: 'overview', path: '/' },
    { name: 'groups', path: '/groups' },
    { name: 'group-now', path: group },
    { name: 'group-timeline', path: `${group}/timeline` },
    { name: 'group-points', path: `${group}/points` },
    { name: 'group-drills', path: `${group}/drills` },
    { name: 'group-moves', path: `${group}/moves` },
    { name: 'group-views', path: `${group}/views` },
    { name: 'group-restores', path: `${group}/restores` },
    { name: 'group-reports', path: `${group}/reports` },
    { name: 'group-jobs', path: `${group}/jobs` },
    { name: 'plans', path: '/plans' },
    { name: 'plan', path: plan },
    { name: 'plan-edit', path: `${plan}/edit` },
    { name: 'plan-text', path: `${plan}/edit`, after: choose('plan.edit.text') },
    { name: 'plan-machine', path: `${plan}/edit`, after: (site) => site.press('machine.open') },
    { name: 'plan-new', path: '/new-plan' },
    { name: 'plan-run', path: await of('plan-runs') },
    { name: 'drills', path: '/drills' },
    { name: 'drill', path: await of('drills') },
    { name: 'moves', path: '/moves' },
    { name: 'failover', path: await of('failovers') },
    { name: 'failback', path: await of('failbacks') },
    { name: 'restores', path: '/restores' },
    { name: 'restore', path: await of('restores') },
    { name: 'jobs', path: '/jobs' },
    { name: 'job', path: await of('jobs') },
    { name: 'reports', path: '/reports' },
    { name: 'report', path: await of('reports') },
    { name: 'views', path: '/views' },
    { name: 'alerts', path: '/alerts' },
    { name: 'alert', path: await of('alerts') },
    { name: 'access', path: '/access' },
    { name: 'audit', path: '/audit' },
    { name: 'infrastructure', path: '/infrastructure' },
    { name: 'settings', path: '/settings' },
    { name: 'no-such-page', path: '/no-such-page' },
    { name: 'dialogue-drill', path: group, after: press('drill.do') },
    { name: 'dialogue-machine', path: group, after: press('drill.do', 'machine.open') },
    { name: 'dialogue-failover', path: group, after: press('failover.do') },
    { name: 'dialogue-bookmark', path: group, after: press('bookmark.do') },
    { name: 'dialogue-view', path: group, after: press('view.do') },
    { name: 'dialogue-restore', path: group, after: press('restore.do') },
    { name: 'dialogue-schedule', path: `${group}/drills`, after: press('schedule.set') },
    { name: 'dialogue-plan-drill', path: plan, after: press('plan.drill') },
    { name: 'dialogue-plan-failover', path: plan, after: press('plan.failover') },
    { name: 'dialogue-user', path: '/access', after: press('users.create') },
    { name: 'dialogue-token', path: '/access', after: press('tokens.create') },
    ...staged(first, placement),
  ];
}

/** The places of the main navigation that the list above lacks: what is new there is looked at too. */
export async function others(site, known) {
  const links = site.page.getByRole('navigation', { name: site.t('shell.nav') }).getByRole('link');
  const places = await links.evaluateAll((all) => all.map((one) => new URL(one.href).pathname));
  const found = places.filter((path) => !known.some((page) => page.path === path));
  return found.map((path) => ({ name: path.slice(1).replaceAll('/', '-'), path }));
}

/** Has a view open while something is done: its addresses are the longest words there are. */
export async function viewing({ installation }, done) {
  const { name: group } = await newest(installation, 'groups');
  const { status, body } = await installation.ask('POST', '/api/v1/views', { group, at: 'latest' });
  if (status >= 300) throw new Error(`no view can be opened: ${status} ${JSON.stringify(body)}`);
  try {
    return await done();
  } finally {
    await installation.ask('DELETE', `/api/v1/views/${body.id}`);
  }
}

/** Goes to one of them, and waits until it stands still. */
export async function visit(site, { path, after, answers = {} }) {
  for (const [route, body] of Object.entries(answers)) {
    await site.page.route(
      (url) => url.pathname === `/api/v1/${route}`,
      (asked) => asked.fulfill({ json: body, headers: { date: new Date().toUTCString() } }),
    );
  }
  await site.open(path);
  await site.page.locator('.shell h1').waitFor();
  await site.settled();
  if (after) {
    await after(site);
    await site.settled();
  }
}

/** Answers of the API are its own again. */
export async function left(site) {
  await site.page.unrouteAll({ behavior: 'ignoreErrors' });
}
