// From nothing to live: the first user, a stream, a publisher, viewers, and what is told of it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PASSWORD, that } from '../../lib/admin.mjs';
import { until } from '../../lib/processes.mjs';
import { publish } from '../../lib/publisher.mjs';

const clip = () => ({ size: '640x360', fps: 30, gop: 1, sentFrames: new Map() });

export const path = {
  'the link of the first start makes the first user, once': async ({ weir, browser }) => {
    const text = await readFile(join(weir.folder, 'data', 'first-start'), 'utf8');
    const link = text.match(/http\S+#link=wl_\S+/)?.[0];
    that(link, `no link in ${text}`);
    const boss = await browser.open('boss');
    await boss.page.goto(link.replace('localhost', '127.0.0.1'));
    await boss.fill('Your name', 'The boss');
    await boss.fill('Login or e-mail address', 'boss@example.com');
    await boss.fill('Password', PASSWORD);
    await boss.fill('Repeat the password', PASSWORD);
    await boss.press('Continue');
    await boss.sees('heading', 'Overview');
    const again = await browser.open('again');
    await again.page.goto(link.replace('localhost', '127.0.0.1'));
    await again.sees('heading', 'This link does not work any more');
    await again.close();
  },

  'the page comes with a strict policy, its files compressed and for good': async ({ weir }) => {
    const headers = { 'Accept-Encoding': 'gzip' };
    const page = await fetch(`${weir.base}/admin/streams`, { headers });
    const html = await page.text();
    const policy = page.headers.get('content-security-policy') ?? '';
    that(policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'"), `the policy: ${policy}`);
    that(!policy.includes('unsafe'), `the policy allows what is inline: ${policy}`);
    that(page.headers.get('x-content-type-options') === 'nosniff', 'no nosniff');
    that(page.headers.get('cache-control') === 'no-cache', 'the page is kept');
    const script = html.match(/src="(\/admin\/assets\/[^"]+\.js)"/)?.[1];
    const file = await fetch(`${weir.base}${script}`, { headers });
    that(file.headers.get('content-encoding') === 'gzip', `sent as ${file.headers.get('content-encoding')}`);
    that(file.headers.get('cache-control')?.includes('immutable'), 'the script is asked for again and again');
    that((await fetch(`${weir.base}/admin/assets/none.js`)).status === 404, 'a file that is not there');
  },

  'signing in: a wrong password is refused, the right one opens the overview': async ({ weir, browser, people }) => {
    const owner = await browser.open('owner');
    await owner.page.goto(`${weir.base}/admin/`);
    await owner.fill('Login or e-mail address', people.owner);
    await owner.fill('Password', 'not the password');
    await owner.press('Sign in');
    await owner.sees('text', 'don’t match');
    await owner.fill('Password', PASSWORD);
    await owner.press('Sign in');
    await owner.sees('heading', 'Overview');
  },

  'from nothing to live: create, copy, publish, watch': async (world) => {
    const { browser } = world;
    const { page, ...owner } = browser.of('owner');
    await owner.press('New stream');
    await owner.fill('Name', 'Launch day');
    await owner.press('Create');
    await owner.press('Copy: Stream key');
    world.key = await page.evaluate(() => navigator.clipboard.readText());
    that(/^sk_/.test(world.key), `the clipboard holds ${world.key}`);
    await owner.press('Open the stream');
    await owner.sees('heading', 'Launch day');
    world.streamId = new URL(page.url()).pathname.split('/').at(-1);
    await owner.sees('text', 'Waiting');
    await page.evaluate(() => {
      window.notReloaded = true;
    });
    world.publisher = publish(`rtmp://127.0.0.1:${world.weir.rtmp}/live/${world.key}`, clip());
    await page.locator('.page-head .badge', { hasText: 'Live' }).waitFor({ timeout: 20_000 });
    const frames = () => page.locator('.preview').first().getAttribute('data-frames').then(Number);
    const first = await until('frames in the preview', 20_000, frames);
    await until('more frames', 10_000, async () => (await frames()) > first + 20);
    await until('one viewer', 10_000, async () => (await page.getByTestId('viewers').innerText()) === '1');
    const points = () => page.locator('[data-points]').first().getAttribute('data-points').then(Number);
    await until('a graph that fills', 15_000, async () => (await points()) >= 3);
    that(await page.evaluate(() => window.notReloaded === true), 'the page was reloaded');
    world.shots.push(['stream-live', `/streams/${world.streamId}`]);
  },

  'a kick is told to the viewer with its reason': async ({ browser, streamId, weir }) => {
    const { page, ...owner } = browser.of('owner');
    await page.getByRole('link', { name: /^Viewers/ }).click();
    await owner.sees('text', 'Nobody is watching'); // its own preview is gone when it is another's turn
    const viewer = await browser.another('owner');
    await viewer.page.goto(`${weir.base}/admin/streams/${streamId}`);
    await viewer.page.locator('.preview[data-state=playing]').waitFor({ timeout: 20_000 });
    await page.getByRole('button', { name: 'Kick', exact: true }).waitFor();
    await owner.press('Kick');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Kick', exact: true }).click();
    await viewer.sees('text', 'Its session was ended by an administrator.');
    await viewer.close();
  },

  'a rotated key is refused': async (world) => {
    const { page, ...owner } = world.browser.of('owner');
    await page.getByRole('link', { name: 'Publish', exact: true }).click();
    await owner.press('Rotate key');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Rotate key' }).click();
    await owner.sees('heading', 'New stream key');
    await owner.press('Copy: Stream key', 'dialog');
    const fresh = await page.evaluate(() => navigator.clipboard.readText());
    that(/^sk_/.test(fresh) && fresh !== world.key, 'no new key');
    await owner.press('Done');
    await until('the publisher on the old key to be cut', 15_000, () => world.publisher.exit !== undefined);
    const refused = publish(`rtmp://127.0.0.1:${world.weir.rtmp}/live/${world.key}`, clip());
    await until('the old key to be refused', 15_000, () => refused.exit !== undefined);
    that(refused.exit.code !== 0, 'the old key was accepted');
    world.publisher = publish(`rtmp://127.0.0.1:${world.weir.rtmp}/live/${fresh}`, clip());
    await page.locator('.page-head .badge', { hasText: 'Live' }).waitFor({ timeout: 20_000 });
  },

  'the audit has it all': async ({ browser }) => {
    const { page, ...owner } = browser.of('owner');
    await owner.go('/audit');
    for (const action of ['user.login', 'stream.create', 'session.kick', 'stream_key.create', 'stream_key.delete']) {
      await page.locator('td.title', { hasText: action }).first().waitFor({ timeout: 10_000 });
    }
    await page.locator('tr', { hasText: 'user.login' }).locator('.badge', { hasText: 'Refused' }).first().waitFor();
  },

  'the history tells of the publish, and the viewers are counted by node': async ({ browser, streamId }) => {
    const { page, ...owner } = browser.of('owner');
    await owner.go(`/streams/${streamId}?tab=history`);
    await owner.sees('heading', 'Publishes');
    const row = page.locator('tr', { has: page.locator('.badge', { hasText: 'Live' }) });
    await row.getByText('1', { exact: true }).waitFor(); // it broke off once, for the key
    that((await page.locator('tbody tr').count()) >= 1, 'no publish');
    const watcher = await browser.another('owner');
    await watcher.go(`/streams/${streamId}`);
    await watcher.page.locator('.preview[data-state=playing]').waitFor({ timeout: 20_000 });
    await owner.go(`/streams/${streamId}?tab=viewers`);
    await owner.sees('heading', 'Viewers by node');
    await page.locator('.quota-row', { hasText: '1' }).waitFor();
    await watcher.close();
  },
};
