// The audit log: who did it is found, entry by entry, and what is exported holds the same.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

export async function audit(site, action) {
  const { page, dialogue, installation } = site;
  await site.open('/audit');
  await page.getByRole('textbox', { name: site.t('audit.action') }).fill(action);
  // The actions that are offered would be in front of the next field.
  await page.keyboard.press('Escape');
  await page.getByRole('textbox', { name: site.t('audit.outcome') }).click();
  await page.getByRole('option', { name: site.t('auditOutcome.allowed'), exact: true }).click();
  await site.press('audit.show');
  await page.waitForURL((url) => url.searchParams.get('outcome') === 'allowed');
  const [entry] = (await installation.get(`audit?action=${action}&outcome=allowed&limit=1`)).items;
  await page.getByRole('button', { name: site.t('audit.entry', { number: entry.sequence }) }).click();
  await dialogue.getByText(entry.hash).waitFor();
  await dialogue.getByText(site.user.name, { exact: true }).first().waitFor();
  await site.stop('audit-entry');
  await page.keyboard.press('Escape');
  await dialogue.waitFor({ state: 'hidden' });
  const [kept] = await Promise.all([page.waitForEvent('download'), site.press('audit.export')]);
  const lines = (await readFile(await kept.path(), 'utf8')).trim().split('\n');
  assert.ok(
    lines.some((line) => line.includes(entry.hash)),
    'the export holds the entry',
  );
  site.say(`the audit log knows who did ${action}`);
}
