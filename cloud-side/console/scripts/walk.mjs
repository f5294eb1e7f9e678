// A page walked with the keyboard alone.

/** What has the focus now, and how it looks; and how what had it before looks without. */
const focus = (before) => {
  // What fades in is seen at its end.
  for (const moving of document.getAnimations()) {
    if (Number.isFinite(moving.effect?.getComputedTiming().endTime)) moving.finish();
  }
  const looksOf = (one) => {
    // A control may show the focus by what is around it: a card, a switch's track, a segment's label, a box of chips.
    const near = [one.parentElement, one.nextElementSibling, one.closest('.chips'), ...(one.labels ?? [])];
    const around = [one, ...near].filter(Boolean);
    const looks = around.map((part) => {
      const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor } = getComputedStyle(part);
      return [outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor].join(' ');
    });
    return looks.join(' / ');
  };
  const last = before && document.querySelector(`[data-walked="${before}"]`);
  const left = last ? looksOf(last) : null;
  const at = document.activeElement;
  if (at === null || at === document.body) return { at: null, left };
  if (at.dataset.walked === undefined) {
    window.walked = (window.walked ?? 0) + 1;
    at.dataset.walked = String(window.walked);
  }
  // Of a radio button that is drawn by its label, the label is what is shown.
  const isShown = [at, ...(at.labels ?? [])].some((one) => {
    const { width, height } = one.getBoundingClientRect();
    return width * height > 0 && getComputedStyle(one).visibility !== 'hidden';
  });
  const name = (at.getAttribute('aria-label') ?? at.textContent ?? '').trim().slice(0, 40);
  return {
    at: {
      id: at.dataset.walked,
      text: `${at.tagName.toLowerCase()} ${name}`,
      isShown,
      inDialogue: at.closest('[role="dialog"]') !== null,
      looks: looksOf(at),
    },
    left,
  };
};

const STEPS_MOST = 400;

/** Steps with Tab until one is where one began, or out of the page; says what was passed. */
async function tabs(site, name) {
  const { page } = site;
  const passed = [];
  for (let step = 0; step < STEPS_MOST; step += 1) {
    await page.keyboard.press('Tab');
    const before = passed.at(-1);
    const { at, left } = await page.evaluate(focus, before?.id);
    // A field for a time has several stops of its own.
    if (before && at?.id === before.id) continue;
    // What looks the same with and without the focus does not show where one is.
    if (before && left === before.looks)
      site.complaints.push(`${name}: one does not see the focus on ${before.text}`);
    if (at === null || passed.some(({ id }) => id === at.id)) return passed;
    if (!at.isShown) site.complaints.push(`${name}: the focus is on what is not shown: ${at.text}`);
    passed.push(at);
  }
  site.complaints.push(`${name}: the keyboard does not come round in ${STEPS_MOST} steps`);
  return passed;
}

/** What the page offers to be pressed or filled in. */
const offered = (site, within) =>
  site.page
    .locator(within)
    .locator(
      'a[href], button:not([disabled]):not([tabindex="-1"]), input:not([disabled]):not([type="radio"]), textarea',
    )
    .filter({ visible: true })
    .count();

/** Every link, button and field is reached, the first being the way past the navigation. */
export async function walk(site, name) {
  const passed = await tabs(site, name);
  if (!passed[0]?.text.includes(site.t('shell.skip')))
    site.complaints.push(`${name}: the first step is ${passed[0]?.text}, not the way to the page`);
  const count = await offered(site, 'main');
  const nav = await offered(site, 'nav.rail');
  if (passed.length < Math.min(count + nav, STEPS_MOST))
    site.complaints.push(`${name}: the keyboard reaches ${passed.length} of ${count + nav} things`);
}

/** The focus is in the dialogue and stays there; Escape closes it and gives the focus back to its button. */
export async function walkDialogue(site, name) {
  const { page } = site;
  const passed = await tabs(site, name);
  const outside = passed.find(({ inDialogue }) => !inDialogue);
  if (outside) site.complaints.push(`${name}: the focus leaves the dialogue for ${outside.text}`);
  if (passed.length < 2) site.complaints.push(`${name}: the keyboard reaches nothing in the dialogue`);
  await page.keyboard.press('Escape');
  await site.dialogue.waitFor({ state: 'hidden' });
  const isBack = page.waitForFunction(() => document.activeElement?.tagName === 'BUTTON', null, {
    timeout: 2000,
  });
  await isBack.catch(() => site.complaints.push(`${name}: the focus is lost when the dialogue closes`));
}
