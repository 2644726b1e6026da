// Keys and webhooks against servers of the tenant's own, which stand here.

import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { that } from '../../lib/admin.mjs';
import { startSite } from '../../lib/pages.mjs';
import { until } from '../../lib/processes.mjs';

/** A token as a tenant's own server signs it. */
function signed({ privateKey, kid }, stream) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const head = encode({ alg: 'ES256', kid, typ: 'JWT' });
  const text = `${head}.${encode({ sub: 'ann', aud: 'weir:play', exp, stream })}`;
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

export const tools = {
  'a key set is fetched from its address, and its tokens are good': async ({ browser, weir, streamId }) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = 'own-1';
    const jwk = { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
    const body = JSON.stringify({ keys: [jwk] });
    const site = await startSite({ pages: { '/keys.json': { type: 'application/json', body } } });
    try {
      const { page, ...owner } = browser.of('owner');
      await owner.go('/tokens');
      const add = async (url) => {
        await owner.press('Add signing key');
        await page.getByRole('dialog').getByRole('button', { name: /Kind/ }).click();
        await page.getByRole('option', { name: 'Your key set (JWKS)' }).click();
        await owner.fill('Address of the key set', url);
        await owner.press('Add signing key', 'dialog');
      };
      await add('ftp://keys.example/x');
      await page.locator('.field-error', { hasText: 'https://' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await add(`${site.base}/keys.json`);
      const row = page.locator('tr', { hasText: `${site.base}/keys.json` });
      await row.locator('.badge.good', { hasText: '1 key' }).waitFor({ timeout: 20_000 });
      const stream = await weir.api('GET', `/streams/${streamId}`, undefined, [200]);
      const answer = await weir.ask(stream.playback_id, signed({ privateKey, kid }, stream.playback_id));
      that(answer.status === 200, `its token is answered with ${answer.status} ${JSON.stringify(answer.body)}`);
      await add(`${site.base}/none.json`);
      await page.locator('tr', { hasText: 'none.json' }).locator('.badge.bad').waitFor({ timeout: 20_000 });
      await row.getByRole('button', { name: 'Remove' }).click();
      const asked = page.getByRole('alertdialog');
      const typed = await asked.locator('label').innerText();
      await asked.getByRole('textbox').fill(typed.replace(/^Type | to confirm$/g, ''));
      await asked.getByRole('button', { name: 'Remove' }).click();
      await row.waitFor({ state: 'detached' });
    } finally {
      await site.close();
    }
  },

  'a webhook that failed is sent again': async (world) => {
    const { browser } = world;
    const got = [];
    const hook = { status: 200 };
    const site = await startSite({
      pages: {
        '/hook': ({ headers }) => {
          got.push(headers['webhook-id']);
          return { body: 'heard', status: hook.status };
        },
      },
    });
    world.closing.push(site);
    const { page, ...owner } = browser.of('owner');
    await owner.go('/webhooks');
    await owner.press('New webhook');
    await owner.fill('Address', `${site.base}/hook`);
    await owner.press('Create', 'dialog');
    await owner.sees('heading', 'Signing secret');
    that(/^whsec_/.test(await page.getByRole('dialog').locator('code').innerText()), 'no secret is shown');
    await owner.press('Done');
    await page.getByRole('link', { name: `${site.base}/hook` }).click();
    await owner.press('Send test event');
    await page.locator('tr .badge', { hasText: 'Delivered' }).waitFor({ timeout: 20_000 });
    hook.status = 500;
    await owner.press('Send test event');
    const failed = page.locator('tr', { has: page.locator('.badge', { hasText: 'Pending' }) });
    await failed.getByText('500').waitFor({ timeout: 20_000 });
    hook.status = 200;
    await failed.getByRole('button', { name: 'Send again' }).click();
    await until('two deliveries', 20_000, async () => {
      return (await page.locator('tr .badge', { hasText: 'Delivered' }).count()) === 2;
    });
    that(got.length >= 3 && new Set(got).size === 2, `it was told ${got.join(', ')}`);
    world.shots.push(['webhook', new URL(page.url()).pathname.replace('/admin', '')]);
  },
};
