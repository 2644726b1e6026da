// People at the admin UI: each in a browser context of their own, watched for what goes wrong.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { CHROMIUM_FLAGS, executable } from './browsers.mjs';

export const PASSWORD = 'correct horse battery staple';

export function that(isRight, message) {
  if (!isRight) throw new Error(message);
}

const WAIT_MS = 15_000;
const SIZES = [
  { width: 1440, height: 900 },
  { width: 360, height: 780 },
];

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Told by name, so that one and the same person can be found again. */
export async function openBrowser(base) {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({
    executablePath: executable('WEIR_E2E_CHROMIUM', '/usr/bin/chromium', '/usr/bin/chromium-browser'),
    args: CHROMIUM_FLAGS,
  });
  const people = new Map();
  const own = {
    violations: [],
    dialogs: [],
    async open(name) {
      const context = await browser.newContext({ viewport: SIZES[0], reducedMotion: 'reduce' });
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const admin = await newAdmin(context, base, own);
      people.set(name, admin);
      return admin;
    },
    of: (name) => people.get(name),
    /** One more page of the same person. */
    another: (name) => newAdmin(people.get(name).page.context(), base, own),
    async signIn(name, login) {
      const admin = await own.open(name);
      await admin.page.goto(`${base}/admin/`);
      await admin.fill('Login or e-mail address', login);
      await admin.fill('Password', PASSWORD);
      await admin.press('Sign in');
      await admin.sees('heading', 'Overview');
      return admin;
    },
    async shots(path) {
      for (const [name, { page }] of people) {
        if (!page.isClosed()) await page.screenshot({ path: `${path}-${name}.png` }).catch(() => undefined);
      }
    },
    close: () => browser.close(),
  };
  return own;
}

async function newAdmin(context, base, own) {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  await page.exposeFunction('toldViolation', (text) => own.violations.push(text));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
      window.toldViolation(`${location.pathname}: ${violatedDirective} ${blockedURI} ${sourceFile}:${lineNumber}`);
    });
  });
  page.on('pageerror', (error) => own.violations.push(`${page.url()}: ${error.message}`));
  page.on('dialog', (dialog) => {
    own.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  return new Admin(page, base);
}

export class Admin {
  constructor(page, base) {
    Object.assign(this, { page, base });
    for (const name of ['fill', 'press', 'sees', 'go', 'look', 'axe', 'close']) this[name] = this[name].bind(this);
  }

  fill(label, text) {
    return this.page.getByLabel(label, { exact: true }).fill(text);
  }

  press(name, within) {
    const place = within ? this.page.getByRole(within) : this.page;
    return place.getByRole('button', { name, exact: true }).first().click();
  }

  sees(kind, text) {
    const place = kind === 'heading' ? this.page.getByRole('heading', { name: text }) : this.page.getByText(text);
    return place.first().waitFor();
  }

  async go(path) {
    await this.page.goto(`${this.base}/admin${path}`);
    await this.page.locator('h1').first().waitFor();
    await this.page.waitForFunction(() => document.querySelector('.skeletons') === null);
  }

  /** Each screen in both themes by axe, in both sizes by a screenshot. */
  async look(screens, folder) {
    const faults = [];
    for (const [name, path] of screens) {
      await this.page.setViewportSize(SIZES[0]);
      await this.page.emulateMedia({ colorScheme: 'light' });
      await this.go(path);
      for (const colorScheme of ['light', 'dark']) {
        await this.page.emulateMedia({ colorScheme });
        await this.page.waitForFunction((wanted) => document.documentElement.dataset.theme === wanted, colorScheme);
        await this.settled();
        faults.push(...(await this.faults(`${name} ${colorScheme}`)));
        if (colorScheme === 'dark') {
          for (const size of SIZES) {
            await this.page.setViewportSize(size);
            await this.settled();
            await this.page.screenshot({ path: `${folder}${name}-${size.width}-dark.png`, fullPage: size.width < 1000 });
          }
          await this.page.setViewportSize(SIZES[0]);
        }
      }
      await this.page.emulateMedia({ colorScheme: 'light' });
      await this.page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
      for (const size of SIZES) {
        await this.page.setViewportSize(size);
        await this.settled();
        const over = await this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) faults.push(`${name}: ${over} px wider than ${size.width}`);
        await this.page.screenshot({ path: `${folder}${name}-${size.width}.png`, fullPage: size.width < 1000 });
      }
    }
    await this.page.setViewportSize(SIZES[0]);
    if (faults.length > 0) throw new Error(faults.join('\n     '));
  }

  /** Colours change within a frame. */
  settled() {
    return this.page.evaluate(async () => {
      for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    });
  }

  async axe(name) {
    const faults = await this.faults(name);
    if (faults.length > 0) throw new Error(faults.join('\n     '));
  }

  async faults(name) {
    // By the debugger, which the page's policy does not concern.
    await this.page.evaluate(await readFile(axePath, 'utf8'));
    const { violations } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    return violations.flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map((node) => `${name}: ${id}: ${node.html.slice(0, 140)} ${node.any[0]?.message ?? ''}`),
    );
  }

  close() {
    return this.page.close();
  }
}
