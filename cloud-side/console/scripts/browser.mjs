// What the scripts that drive a browser share: a Chromium in front of an installation, which serves the console itself,
// and what is held against a page: errors in its console, breaches of the content security policy, answers that nobody
// expected, and anything that comes from another address.
//
//   BCDR_API           https://HOST:PORT of the installation
//   BCDR_CA            the certificate of its authority
//   BCDR_SETUP_SECRET  makes the first administrator; without it somebody who is there already signs in
//   BCDR_NAME          who signs in; first-administrator if it is not given
//   BCDR_PASSWORD      the password; with a setup secret a random one is used if it is not given
//   BCDR_LANGUAGE      en or zh, to begin with
//   BCDR_LAUNCH        launch settings as JSON, for a machine that is not recovered with the default ones
//   BCDR_PICTURES      where pictures go; screenshots/ if it is not given
//   BCDR_CONSOLE       a folder made by `npm run build`, in place of the console that is part of the program
//   CHROMIUM           /usr/bin/chromium if it is not given
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { Installation } from './installation.mjs';
import { say } from './words.mjs';

const PATIENCE_SECONDS = 30;
/** Answers by which a page learns that there is none: no drill schedule is set. */
const ABSENCES = [/^GET groups\/[^/]+\/drill-schedule 404$/];

/** A setting that has to be given. */
function need(name, why = '') {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set${why}; see the head of scripts/browser.mjs`);
  return value;
}

function settings() {
  const secret = process.env.BCDR_SETUP_SECRET?.trim() || null;
  const password =
    process.env.BCDR_PASSWORD ||
    (secret
      ? randomBytes(18).toString('base64url')
      : need('BCDR_PASSWORD', ', and there is no BCDR_SETUP_SECRET'));
  return {
    user: { secret, name: process.env.BCDR_NAME || 'first-administrator', password },
    launch: process.env.BCDR_LAUNCH ? JSON.parse(process.env.BCDR_LAUNCH) : null,
    language: process.env.BCDR_LANGUAGE === 'zh' ? 'zh' : 'en',
    pictures: process.env.BCDR_PICTURES || new URL('../screenshots/', import.meta.url).pathname,
  };
}

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** What the program sends with the console; one that was compiled without it sends nothing of the kind. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Has the pages come from a folder, under the policy that the installation sends with its own. */
async function serveFrom(folder, context, installation) {
  const { headers } = await installation.ask('GET', '/');
  const policy = { 'content-security-policy': headers['content-security-policy'] ?? POLICY };
  await context.route(
    ({ origin, pathname }) =>
      origin === installation.origin && !pathname.startsWith('/api/') && pathname !== '/metrics',
    async (route) => {
      const { pathname } = new URL(route.request().url());
      const file = extname(pathname) ? pathname : 'index.html';
      const body = await readFile(join(folder, file)).catch(() => null);
      if (body === null) return route.fulfill({ status: 404, body: 'no such file' });
      return route.fulfill({ body, contentType: TYPES[extname(file)], headers: policy });
    },
  );
}

class Site {
  complaints = [];
  /** While the script itself keeps answers away. */
  silent = false;
  #expected = [];
  #tolerated = [];
  #signedOut = false;
  #others = [];
  #given;
  #browser;
  #stops = 0;
  #began = Date.now();

  constructor(given, browser, context, page) {
    const { installation, user, launch, language } = given;
    Object.assign(this, { page, context, installation, user, launch, language, origin: installation.origin });
    this.#given = given;
    this.#browser = browser;
    page.on('console', (message) => {
      // Answers that are no success are logged too; they are held against the page by themselves, below.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
        this.complaints.push(`logged at ${page.url()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => this.complaints.push(`thrown at ${page.url()}: ${error.stack ?? error}`));
    page.on('crash', () => this.complaints.push(`the page crashed at ${page.url()}`));
    page.on('request', (asked) => {
      const { protocol, origin } = new URL(asked.url());
      if (protocol !== 'blob:' && origin !== this.origin)
        this.complaints.push(`${page.url()} asked ${origin}, which is another address`);
    });
    page.on('requestfailed', (asked) => {
      const why = asked.failure()?.errorText;
      // Aborted: the page left, or no longer wanted it.
      if (!this.silent && why !== 'net::ERR_ABORTED')
        this.complaints.push(`${asked.method()} ${asked.url()} failed: ${why}`);
    });
    page.on('response', (answer) => this.#hold(answer));
  }

  /** A page of its own, in a browser that knows nothing yet. */
  static async open(given, browser) {
    const context = await browser.newContext({
      locale: given.language === 'zh' ? 'zh-CN' : 'en-GB',
      timezoneId: 'Asia/Shanghai',
      viewport: { width: 1440, height: 900 },
    });
    context.setDefaultTimeout(PATIENCE_SECONDS * 1000);
    if (process.env.BCDR_CONSOLE) await serveFrom(process.env.BCDR_CONSOLE, context, given.installation);
    return new Site(given, browser, context, await context.newPage());
  }

  #hold(answer) {
    if (answer.status() < 400) return;
    const path = new URL(answer.url()).pathname.replace('/api/v1/', '');
    const what = `${answer.request().method()} ${path} ${answer.status()}`;
    if (this.#signedOut && answer.status() === 401) return;
    const expected = this.#expected.filter((one) => one.what === what);
    if (expected.length > 0) (expected.find((one) => !one.came) ?? expected[0]).came = true;
    else if (![...ABSENCES, ...this.#tolerated].some((absence) => absence.test(what)))
      this.complaints.push(`at ${this.page.url()}: unexpected answer: ${what}`);
  }

  /** From now on this answer is no fault, such as `POST session 401`; that it never comes is one. */
  expect(what) {
    this.#expected.push({ what, came: false });
  }

  /** From now on these answers are no fault, whether they come or not. */
  tolerate(answers) {
    this.#tolerated.push(answers);
  }

  /** From now on the session is known to be at its end: whatever the page asks may be refused. */
  expectSignedOut() {
    this.#signedOut = true;
  }

  /** Another browser before the same installation, in which nobody is signed in. */
  async somebodyElse() {
    const other = await Site.open({ ...this.#given, prefix: `${this.#given.prefix}-other` }, this.#browser);
    other.language = this.#given.language;
    this.#others.push(other);
    return other;
  }

  /** This page and those of somebody else. */
  get all() {
    return [this, ...this.#others];
  }

  /** What is held against the pages so far. */
  faults() {
    const missing = this.#expected.filter(({ came }) => !came).map(({ what }) => `never answered: ${what}`);
    const others = this.#others.flatMap((other) => other.faults());
    return [...new Set([...this.complaints, ...missing, ...others])];
  }

  t(key, values) {
    return say(this.language, key, values);
  }

  get dialogue() {
    return this.page.getByRole('dialog');
  }

  button(key, within = this.page) {
    return within.getByRole('button', { name: this.t(key), exact: true });
  }

  /** Presses a button as soon as it can be pressed. */
  async press(key, within = this.page, seconds = PATIENCE_SECONDS) {
    const can = within.getByRole('button', { name: this.t(key), exact: true, disabled: false });
    await can.first().click({ timeout: seconds * 1000 });
  }

  /** The page says so, within this time. */
  async sees(key, values = {}, seconds = PATIENCE_SECONDS, within = this.page) {
    await within
      .getByText(this.t(key, values), { exact: true })
      .first()
      .waitFor({ timeout: seconds * 1000 });
  }

  /** The page is titled so. */
  async titled(key, values = {}) {
    await this.page.getByRole('heading', { level: 1, name: this.t(key, values), exact: true }).waitFor();
  }

  /** A badge beside the title says so, within this time. */
  badge(key, seconds = PATIENCE_SECONDS) {
    return this.sees(key, {}, seconds, this.page.locator('.badges'));
  }

  /** Types the name that a dialogue wants before it does what it says. */
  async confirm(name) {
    await this.dialogue.locator('[data-confirm]').fill(name);
  }

  /** Whether the main navigation leads there. */
  async hasPlace(path) {
    return (await this.page.locator(`nav.rail a[href="${path}"]`).count()) > 0;
  }

  open(path) {
    return this.page.goto(`${this.origin}${path}`);
  }

  /** Changes the language with the page's own button. */
  async speak(language) {
    if (language === this.language) return;
    const name = language === 'zh' ? '中文' : 'English';
    await this.page.getByRole('button', { name, exact: true }).click();
    this.language = language;
    await this.page
      .locator(`html[lang="${language === 'zh' ? 'zh-CN' : 'en'}"]`)
      .waitFor({ state: 'attached' });
  }

  /** What was reached, and when. */
  say(text) {
    console.log(`${((Date.now() - this.#began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  }

  /** A picture of a stop on the way, numbered. */
  async stop(name) {
    this.#stops += 1;
    await this.picture(`${this.#given.prefix}-${String(this.#stops).padStart(2, '0')}-${name}`, false);
  }

  async picture(name, fullPage = true) {
    await mkdir(this.#given.pictures, { recursive: true });
    const path = join(this.#given.pictures, `${name}.png`);
    await this.page.screenshot({ path, fullPage });
    return path;
  }

  /** The page has read what it shows, and nothing on it moves any more. */
  async settled() {
    await this.page.locator('h1').first().waitFor();
    await this.page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null);
    await this.page.evaluate(async () => {
      const ends = (one) => Number.isFinite(one.effect?.getComputedTiming().endTime);
      const moving = document.getAnimations().filter(ends);
      await Promise.all([document.fonts.ready, ...moving.map((one) => one.finished.catch(() => {}))]);
    });
  }
}

/** Says what went wrong, where, and what the pages said of it. */
async function explain(name, error, site) {
  // The first lines say what was awaited; the rest how often it was tried.
  console.error(`${name} failed: ${error.message.split('\n').slice(0, 4).join('\n')}`);
  const where = error.stack?.split('\n').filter((line) => line.includes('/scripts/')) ?? [];
  console.error(where.join('\n'));
  for (const [number, { page }] of site.all.entries()) {
    if (page.isClosed()) continue;
    const alerts = await page
      .getByRole('alert')
      .allInnerTexts()
      .catch(() => []);
    for (const text of alerts) console.error(`the page says: ${text.replaceAll('\n', ' ')}`);
    const picture = await site.all[number]
      .picture(number === 0 ? `${name}-failed` : `${name}-failed-other`, false)
      .catch(() => 'no picture could be taken');
    console.error(`at ${page.url()}; ${picture}`);
  }
}

/** Opens Chromium in front of the installation, has the steps taken, and fails loudly. */
export async function drive(name, steps) {
  const given = settings();
  const installation = await Installation.at(need('BCDR_API'), need('BCDR_CA'));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--ignore-certificate-errors-spki-list=${await installation.provenKey()}`,
    ],
  });
  let site;
  try {
    site = await Site.open({ ...given, prefix: name, installation }, browser);
    await steps(site);
  } catch (error) {
    process.exitCode = 1;
    if (site) await explain(name, error, site);
    else console.error(error);
  } finally {
    await installation.signOut().catch(() => {});
    await browser.close();
  }
  const faults = site?.faults() ?? [];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
