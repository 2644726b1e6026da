// How it looks: names that are markup, long lists, every screen by axe in both themes and sizes.

import { that } from '../../lib/admin.mjs';
import { until } from '../../lib/processes.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
const MANY = 1000;
/** Requests under way while many streams are made. */
const AT_ONCE = 6;
const SCREENS = [
  ['overview', '/'],
  ['streams', '/streams?q=Camera%2000'],
  ['tokens', '/tokens'],
  ['api-keys', '/api-keys'],
  ['people', '/people'],
  ['webhooks', '/webhooks'],
  ['usage', '/usage'],
  ['audit', '/audit'],
  ['account', '/account'],
];
const STREAM_TABS = ['publish', 'watch', 'viewers', 'settings', 'history'];

export const looks = {
  'a name of markup stays text, everywhere': async ({ browser, weir, tenant }) => {
    const made = await weir.api('POST', '/streams', { tenant, name: EVIL, labels: { [EVIL]: EVIL } }, [201]);
    const owner = browser.of('owner');
    for (const path of ['/streams', `/streams/${made.id}`, `/streams/${made.id}?tab=settings`, '/audit', `/tokens?stream=${made.id}`, '/']) {
      await owner.go(path);
      if (path === '/audit' || path === '/') continue;
      await owner.page.getByText(EVIL).first().waitFor({ timeout: 10_000 });
    }
    that((await owner.page.locator('img[src=x]').count()) === 0, 'the name became markup');
    that(browser.dialogs.length === 0, `it ran: ${browser.dialogs}`);
  },

  'a thousand streams stay smooth': async ({ browser, weir, tenant }) => {
    let next = 0;
    const make = async () => {
      while (next < MANY) {
        next += 1;
        const name = `Camera ${String(next).padStart(4, '0')}`;
        // A database that is busy says so, and is asked again.
        await until(name, 30_000, () => weir.api('POST', '/streams', { tenant, name }, [201]));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, make));
    const { page, ...owner } = browser.of('owner');
    await owner.go('/streams');
    await page.getByText(/^1,00\d streams$/).waitFor({ timeout: 20_000 });
    that((await page.locator('.stream-row').count()) < 60, 'all rows are in the page');
    const frames = await page.evaluate(async () => {
      const list = document.querySelector('.list');
      const took = [];
      let last = performance.now();
      for (let at = 0; at < 60; at += 1) {
        list.scrollTop += 300;
        await new Promise(requestAnimationFrame);
        took.push(performance.now() - last);
        last = performance.now();
      }
      return took.sort((a, b) => a - b)[30];
    });
    that(frames < 100, `a frame takes ${frames} ms while scrolling`);
    // Digits alone may be in the id of another one.
    await owner.fill('Search by name, id or label', 'Camera 0777');
    await page.getByText(/^1 of 1,00\d streams$/).waitFor();
    that(/[?&]q=Camera(\+|%20)0777/.test(page.url()), `the address holds no filter: ${page.url()}`);
    console.log(`     median frame while scrolling a thousand streams: ${frames.toFixed(1)} ms`);
  },

  'axe finds nothing on any screen, light or dark, and nothing is wider than a phone': async (world) => {
    const { browser, out } = world;
    const ofOwner = [
      ...world.shots,
      ...STREAM_TABS.map((tab) => [`stream-${tab}`, `/streams/${world.streamId}?tab=${tab}`]),
      ...SCREENS,
    ];
    await browser.of('owner').look(ofOwner, out);
    await browser.of('boss').look([['platform-overview', '/'], ['nodes', '/nodes'], ['tenants', '/tenants']], out);
    const door = await browser.open('door');
    await door.look([['sign-in', '/']], out);
  },

  'dialogs pass axe, open and close by keyboard': async ({ browser, out }) => {
    const { page, ...owner } = browser.of('owner');
    await owner.go('/streams');
    await page.getByRole('button', { name: 'New stream' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await owner.axe('dialog');
    await page.screenshot({ path: `${out}dialog.png` });
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    const focused = await page.evaluate(() => document.activeElement?.textContent);
    that(focused === 'New stream', `the focus went to ${focused}`);
  },
};
