#!/usr/bin/env node
// The admin UI in Chromium against a real server: from nothing to live, who sees what, every screen looked at by axe.
//   WEIR_BIN=target/debug/weir node admin.mjs      screenshots go to out/admin/

import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBrowser, PASSWORD } from './lib/admin.mjs';
import { endAll, sleep, until } from './lib/processes.mjs';
import { publish } from './lib/publisher.mjs';
import { startWeir } from './lib/weir.mjs';

const OUT = new URL('out/admin/', import.meta.url).pathname;
const EVIL = '<img src=x onerror=alert(1)>';
const MANY = 1000;
/** Requests under way while many streams are made. */
const AT_ONCE = 6;
const clip = () => ({ size: '640x360', fps: 30, gop: 1, sentFrames: new Map() });

const checks = [];
let failed = 0;

function check(name, run) {
  checks.push({ name, run });
}

function that(isRight, message) {
  if (!isRight) throw new Error(message);
}

check('the link of the first start makes the first user, once', async ({ weir, browser }) => {
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
});

check('the page comes with a strict policy, its files compressed and for good', async ({ weir }) => {
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
});

check('signing in: a wrong password is refused, the right one opens the overview', async ({ weir, browser, people }) => {
  const owner = await browser.open('owner');
  await owner.page.goto(`${weir.base}/admin/`);
  await owner.fill('Login or e-mail address', people.owner);
  await owner.fill('Password', 'not the password');
  await owner.press('Sign in');
  await owner.sees('text', 'don’t match');
  await owner.fill('Password', PASSWORD);
  await owner.press('Sign in');
  await owner.sees('heading', 'Overview');
});

check('from nothing to live: create, copy, publish, watch', async (world) => {
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
});

check('a kick is told to the viewer with its reason', async ({ browser, streamId, weir }) => {
  const viewer = await browser.another('owner');
  await viewer.page.goto(`${weir.base}/admin/streams/${streamId}`);
  await viewer.page.locator('.preview[data-state=playing]').waitFor({ timeout: 20_000 });
  const { page, ...owner } = browser.of('owner');
  await page.getByRole('link', { name: /^Viewers/ }).click();
  await owner.press('Kick');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Kick', exact: true }).click();
  await viewer.sees('text', 'Its session was ended by an administrator.');
  await viewer.close();
});

check('a rotated key is refused', async (world) => {
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
});

check('the audit has it all', async ({ browser }) => {
  const { page, ...owner } = browser.of('owner');
  await owner.go('/audit');
  for (const action of ['user.login', 'stream.create', 'session.kick', 'stream_key.create', 'stream_key.delete']) {
    await page.locator('td.title', { hasText: action }).first().waitFor({ timeout: 10_000 });
  }
  await page.locator('tr', { hasText: 'user.login' }).locator('.badge', { hasText: 'Refused' }).first().waitFor();
});

check('another tenant sees nothing of it', async ({ browser, people, streamId }) => {
  const stranger = await browser.signIn('stranger', people.stranger);
  await stranger.go('/streams');
  await stranger.sees('text', 'No streams yet');
  await stranger.go(`/streams/${streamId}`);
  await stranger.sees('text', 'There is no such thing here');
  await stranger.go('/audit');
  await stranger.sees('heading', 'Audit log');
  that(!(await stranger.page.innerText('body')).includes('Launch day'), 'the name is in the other tenant’s audit');
});

check('who may only read sees no button for more, and the API refuses', async ({ browser, people, streamId }) => {
  const reader = await browser.signIn('reader', people.reader);
  const buttons = ['New stream', 'Disconnect publisher', 'Rotate key', 'Kick', 'Revoke', 'Add signing key', 'New webhook'];
  for (const path of ['/', '/streams', `/streams/${streamId}`, `/streams/${streamId}?tab=publish`,
    `/streams/${streamId}?tab=viewers`, '/tokens', '/webhooks']) {
    await reader.go(path);
    for (const name of buttons) {
      that((await reader.page.getByRole('button', { name, exact: true }).count()) === 0, `${name} at ${path}`);
    }
  }
  for (const name of ['API keys', 'People', 'Audit log', 'Nodes', 'Tenants', 'Settings']) {
    that((await reader.page.getByRole('link', { name, exact: true }).count()) === 0, `the link ${name}`);
  }
  const statuses = await reader.page.evaluate(async (id) => {
    const ask = (method, path, body) =>
      fetch(`/api/v1${path}`, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const answers = [
      await ask('POST', '/streams', { name: 'x' }),
      await ask('POST', `/streams/${id}/keys`, {}),
      await ask('DELETE', `/streams/${id}`, {}),
      await ask('POST', '/users', { login: 'x', name: 'x', role: 'reader' }),
    ];
    return answers.map((answer) => answer.status);
  }, streamId);
  that(statuses.every((status) => status === 403), `the API answered ${statuses}`);
});

check('a name of markup stays text, everywhere', async ({ browser, weir, tenant }) => {
  const made = await weir.api('POST', '/streams', { tenant, name: EVIL, labels: { [EVIL]: EVIL } }, [201]);
  const owner = browser.of('owner');
  for (const path of ['/streams', `/streams/${made.id}`, `/streams/${made.id}?tab=settings`, '/audit', `/tokens?stream=${made.id}`, '/']) {
    await owner.go(path);
    if (path === '/audit' || path === '/') continue;
    await owner.page.getByText(EVIL).first().waitFor({ timeout: 10_000 });
  }
  that((await owner.page.locator('img[src=x]').count()) === 0, 'the name became markup');
  that(browser.dialogs.length === 0, `it ran: ${browser.dialogs}`);
});

check('a thousand streams stay smooth', async ({ browser, weir, tenant }) => {
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
  await page.getByText('1,002 streams').waitFor({ timeout: 20_000 });
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
  await owner.fill('Search by name, id or label', '0777');
  await page.getByText('1 of 1,002 streams').waitFor();
  that(page.url().includes('q=0777'), `the address holds no filter: ${page.url()}`);
  console.log(`     median frame while scrolling 1,002 streams: ${frames.toFixed(1)} ms`);
});

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

check('axe finds nothing on any screen, light or dark, and nothing is wider than a phone', async (world) => {
  const { browser, weir, tenant } = world;
  const hook = await weir.api('POST', '/webhooks', { tenant, url: 'https://hooks.example.com/weir' }, [201]);
  await weir.api('POST', `/webhooks/${hook.id}/test`, {}, [201]);
  const ofOwner = [
    ...world.shots,
    ...STREAM_TABS.map((tab) => [`stream-${tab}`, `/streams/${world.streamId}?tab=${tab}`]),
    ...SCREENS,
    ['webhook', `/webhooks/${hook.id}`],
  ];
  await browser.of('owner').look(ofOwner, OUT);
  await browser.of('boss').look([['platform-overview', '/'], ['nodes', '/nodes'], ['tenants', '/tenants']], OUT);
  const door = await browser.open('door');
  await door.look([['sign-in', '/']], OUT);
});

check('dialogs pass axe, open and close by keyboard', async ({ browser }) => {
  const { page, ...owner } = browser.of('owner');
  await owner.go('/streams');
  await page.getByRole('button', { name: 'New stream' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await owner.axe('dialog');
  await page.screenshot({ path: `${OUT}dialog.png` });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const focused = await page.evaluate(() => document.activeElement?.textContent);
  that(focused === 'New stream', `the focus went to ${focused}`);
});

check('the first load is quick, and a lost server is told', async (world) => {
  const { browser, weir } = world;
  const { page, ...owner } = browser.of('owner');
  await owner.go('/');
  const ms = await page.evaluate(() => {
    const [entry] = performance.getEntriesByType('navigation');
    return entry.domContentLoadedEventEnd;
  });
  console.log(`     the page's script had run after ${Math.round(ms)} ms`);
  await page.context().setOffline(true);
  await owner.sees('text', 'No connection to the server');
  await page.context().setOffline(false);
  await page.getByText('No connection to the server').waitFor({ state: 'detached' });
  await world.publisher.end('SIGTERM');
  that(weir.child.exit === undefined, 'the server ended');
});

check('signing out everywhere ends the other browsers', async ({ browser, people }) => {
  const other = await browser.signIn('elsewhere', people.owner);
  const { page, ...owner } = browser.of('owner');
  await owner.go('/account');
  await owner.press('Sign out everywhere');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Sign out everywhere' }).click();
  await owner.sees('heading', 'Sign in');
  await other.page.reload();
  await other.sees('heading', 'Sign in');
});

async function seed(weir) {
  const tenant = (await weir.api('POST', '/tenants', { name: 'Acme' }, [201])).id;
  const other = (await weir.api('POST', '/tenants', { name: 'Other' }, [201])).id;
  const person = async (of, login, role) => {
    const made = await weir.api('POST', '/users', { tenant: of, login, name: login, role }, [201]);
    const link = made.link.url.split('#link=')[1];
    const answer = await fetch(`${weir.base}/api/v1/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ link, password: PASSWORD }),
    });
    that(answer.ok, `a password for ${login}: ${answer.status}`);
    return login;
  };
  const people = {
    owner: await person(tenant, 'owner@acme.example', 'owner'),
    reader: await person(tenant, 'reader@acme.example', 'reader'),
    stranger: await person(other, 'owner@other.example', 'owner'),
  };
  return { tenant, people };
}

async function main() {
  const binary = process.env.WEIR_BIN;
  if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
  await access(binary);
  await rm(OUT, { recursive: true, force: true });
  await mkdir(OUT, { recursive: true });
  const weir = await startWeir(binary);
  const browser = await openBrowser(weir.base);
  const began = Date.now();
  try {
    const world = { weir, browser, shots: [], ...(await seed(weir)) };
    for (const { name, run } of checks) {
      try {
        await run(world);
        console.log(`ok   ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAIL ${name}\n     ${error.message}`);
        await browser.shots(`${OUT}failed-${failed}`);
      }
    }
    if (browser.violations.length > 0) {
      failed += 1;
      console.log(`FAIL no violation of the content security policy, no error on the page\n     ${browser.violations.join('\n     ')}`);
    } else console.log('ok   no violation of the content security policy, no error on the page');
  } finally {
    await browser.close();
    if (failed > 0) console.log(`the server's last lines:\n${weir.child.tail()}`);
    await weir.stop();
  }
  console.log(`${checks.length + 1 - failed} passed, ${failed} failed in ${Math.round((Date.now() - began) / 1000)} s`);
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} finally {
  await endAll();
  await sleep(0);
}
