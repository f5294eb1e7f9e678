// What the scripts that drive a browser share: the built console behind its policy, and a Chromium in front of it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { preview } from 'vite';

/** A setting that has to be given. */
export function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; see the head of the script`);
  return value;
}

/**
 * Opens a page on the built console, which is proxied to the installation at BCDR_API. `complaints` collects
 * what the page logged as an error, breaches of the content security policy among it.
 */
export async function open() {
  need('BCDR_API');
  const token = (await readFile(need('BCDR_TOKEN_FILE'), 'utf8')).trim();
  const server = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'error' });
  const origin = `http://127.0.0.1:${server.httpServer.address().port}`;
  const profile = await mkdtemp(join(tmpdir(), 'bcdr-console-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    timezoneId: 'Asia/Shanghai',
    viewport: { width: 1440, height: 900 },
  });
  const complaints = [];
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on('console', (message) => {
    // Chromium logs every answer that is no success; what a page does about it is what is tested.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => complaints.push(String(error)));

  const get = async (path) => {
    const answer = await fetch(`${origin}/api/v1/${path}`, { headers: { authorization: `Bearer ${token}` } });
    return answer.json();
  };
  const close = async () => {
    await browser.close();
    await server.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page, origin, token, complaints, get, close };
}

/** Signs in with a language and colours, from nothing. */
const byToken = { en: 'Sign in with a token', zh: '使用令牌登录' };

export async function signIn({ page, origin, token }, language, scheme) {
  await page.goto(origin);
  // A page that is still asking would keep its token again.
  await page.locator('.shell, .signin-card form').first().waitFor();
  await page.evaluate(
    ([wordsIn, colours]) => {
      sessionStorage.clear();
      localStorage.setItem('bcdr.language', wordsIn);
      localStorage.setItem('mantine-color-scheme-value', colours);
    },
    [language, scheme],
  );
  await page.goto(origin);
  await page.getByRole('button', { name: byToken[language] }).click();
  await page.locator('input[type=password]').fill(token);
  await page.keyboard.press('Enter');
  await page.locator('.shell').waitFor();
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds on the page as it is: keyboard, names, roles, contrast. It is added to the complaints. */
export async function examine({ page, complaints }, name) {
  await page.evaluate(await axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
  );
  for (const { id, help, nodes } of violations) {
    complaints.push(
      `${name}: ${id}: ${help}: ${nodes
        .slice(0, 3)
        .map((node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`)
        .join(' | ')}`,
    );
  }
}

export function report(complaints) {
  for (const complaint of new Set(complaints)) console.error(complaint);
  if (complaints.length > 0) process.exitCode = 1;
}
