// Who sees what: tenants, roles, and those of more than one.

import { that } from '../../lib/admin.mjs';

export const access = {
  'another tenant sees nothing of it': async ({ browser, people, streamId }) => {
    const stranger = await browser.signIn('stranger', people.stranger);
    await stranger.go('/streams');
    await stranger.sees('text', 'No streams yet');
    await stranger.go(`/streams/${streamId}`);
    await stranger.sees('text', 'There is no such thing here');
    await stranger.go('/audit');
    await stranger.sees('heading', 'Audit log');
    that(!(await stranger.page.innerText('body')).includes('Launch day'), 'the name is in the other tenant’s audit');
  },

  'who may only read sees no button for more, and the API refuses': async ({ browser, people, streamId }) => {
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
  },

  'who administers the platform changes from tenant to tenant': async ({ browser }) => {
    const { page, ...boss } = browser.of('boss');
    const change = async (name) => {
      await page.locator('.side .select-button').first().click();
      await page.getByRole('option', { name, exact: true }).click();
      await page.locator('.side .select-button', { hasText: name }).first().waitFor();
    };
    await boss.go('/streams');
    await boss.sees('text', 'Launch day');
    await change('Other');
    that(/tenant=ten_/.test(page.url()), `the address names no tenant: ${page.url()}`);
    await page.getByRole('link', { name: 'Streams', exact: true }).click();
    await boss.sees('text', 'No streams yet');
    that(/tenant=ten_/.test(page.url()), `the tenant is lost on the way: ${page.url()}`);
    await change('Acme');
    await page.getByRole('link', { name: 'Streams', exact: true }).click();
    await boss.sees('text', 'Launch day');
    await change('All tenants');
    that(!page.url().includes('tenant='), `the address still names a tenant: ${page.url()}`);
  },

  'quotas are changed, and what is no number is refused': async ({ browser, weir, other }) => {
    const { page, ...boss } = browser.of('boss');
    await boss.go('/tenants');
    const row = page.locator('tr', { hasText: 'Other' });
    await row.getByRole('button', { name: 'Edit' }).click();
    await boss.fill('Viewers, at most', 'many');
    await boss.sees('text', 'A whole number, or empty.');
    that(await page.getByRole('button', { name: 'Save changes' }).isDisabled(), 'it could be saved');
    await boss.fill('Viewers, at most', '7');
    await boss.fill('Egress, bits per second', '250000000');
    await boss.press('Save changes');
    await row.getByText('7', { exact: true }).waitFor();
    await row.getByText('250 Mbit/s').waitFor();
    const { quotas } = await weir.api('GET', `/tenants/${other}`, undefined, [200]);
    that(quotas.viewers === 7 && quotas.egress_bps === '250000000', `the server has ${JSON.stringify(quotas)}`);
  },

  'one person may be of two tenants': async ({ browser, people, weir, other }) => {
    await weir.api('POST', '/users', { tenant: other, login: people.reader, name: 'x', role: 'owner' }, [201]);
    const both = await browser.signIn('both', people.reader);
    await both.page.locator('.side .select-button').first().click();
    await both.page.getByRole('option', { name: 'Other', exact: true }).click();
    await both.page.getByRole('button', { name: 'New stream' }).waitFor(); // an owner there
    await both.page.locator('.side .select-button').first().click();
    await both.page.getByRole('option', { name: 'Acme', exact: true }).click();
    await both.page.getByRole('button', { name: 'New stream' }).waitFor({ state: 'detached' }); // a reader here
  },
};
