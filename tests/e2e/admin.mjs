#!/usr/bin/env node
// The admin UI in a browser against a real server: from nothing to live, who sees what, every screen looked at by axe.
//   WEIR_BIN=target/debug/weir node admin.mjs [part ...]     parts below; screenshots go to out/admin/

import { access, mkdir, rm } from 'node:fs/promises';
import { openBrowser, PASSWORD, that } from './lib/admin.mjs';
import { wantedBrowsers } from './lib/browsers.mjs';
import { endAll, sleep } from './lib/processes.mjs';
import { startWeir } from './lib/weir.mjs';
import { access as whoSeesWhat } from './scenarios/admin/access.mjs';
import { end } from './scenarios/admin/end.mjs';
import { firefox } from './scenarios/admin/firefox.mjs';
import { looks } from './scenarios/admin/looks.mjs';
import { path } from './scenarios/admin/path.mjs';
import { tools } from './scenarios/admin/tools.mjs';

const OUT = new URL('out/admin/', import.meta.url).pathname;
/** In this order; `path` makes what the others use. */
const PARTS = { path, access: whoSeesWhat, tools, firefox, looks, end };
/** A site of the tenant's own may be on this machine, and a drained node need not wait long. */
const SETTINGS = { WEIR_WEBHOOKS_ALLOWED_NETWORKS: '127.0.0.0/8', WEIR_DRAIN_TIMEOUT: '3s' };

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
  return { tenant, other, people };
}

function wantedChecks() {
  const wanted = process.argv.slice(2);
  for (const name of wanted) {
    if (!PARTS[name]) throw new Error(`no such part: ${name}; there are ${Object.keys(PARTS).join(', ')}`);
  }
  return Object.entries(PARTS).flatMap(([part, checks]) => {
    const isWanted = wanted.length === 0 || part === 'path' || wanted.includes(part);
    const isAble = part !== 'firefox' || wantedBrowsers().includes('firefox');
    return isWanted && isAble ? Object.entries(checks) : [];
  });
}

async function main() {
  const binary = process.env.WEIR_BIN;
  if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
  await access(binary);
  const checks = wantedChecks();
  await rm(OUT, { recursive: true, force: true });
  await mkdir(OUT, { recursive: true });
  const weir = await startWeir(binary, SETTINGS);
  const browser = await openBrowser(weir.base);
  const began = Date.now();
  const closing = [];
  let failed = 0;
  try {
    const world = { weir, browser, out: OUT, shots: [], closing, ...(await seed(weir)) };
    for (const [name, run] of checks) {
      const started = Date.now();
      try {
        await run(world);
        console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
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
    for (const site of closing) await site.close();
    if (failed > 0) console.log(`the server's last lines:\n${weir.child.tail()}`);
    await weir.stop();
  }
  console.log(`${checks.length + 1 - failed} passed, ${failed} failed in ${Math.round((Date.now() - began) / 1000)} s`);
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => endAll().then(() => process.exit(130)));
try {
  await main();
} catch (error) {
  console.log(`FAIL ${error.stack}`);
  process.exitCode = 1;
} finally {
  await endAll();
  await sleep(0);
}
