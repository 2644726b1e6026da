// Chromium by playwright-core and Firefox by puppeteer-core (BiDi), behind one small interface.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probeSource } from './probe.mjs';

export const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const BROWSERS = ['chromium', 'firefox'];

/** Names from `WEIR_E2E_BROWSERS` ("chromium,firefox"), or all. */
export function wantedBrowsers() {
  const wanted = (process.env.WEIR_E2E_BROWSERS ?? BROWSERS.join()).split(',').map((name) => name.trim());
  for (const name of wanted) {
    if (!BROWSERS.includes(name))
      throw new Error(`WEIR_E2E_BROWSERS: ${name} is none of ${BROWSERS.join(', ')}`);
  }
  return wanted;
}

/** `{ name, newPage(size) -> page, close() }`; a page has goto, evaluate, screenshot, close, and `console`. */
export async function launch(name) {
  return name === 'chromium' ? launchChromium() : launchFirefox();
}

export function executable(variable, ...paths) {
  const found = [process.env[variable], ...paths].find((path) => path && existsSync(path));
  if (!found) throw new Error(`no browser at ${paths.join(' or ')}; set ${variable}`);
  return found;
}

async function launchChromium() {
  const { chromium } = await import('playwright-core');
  const profile = await mkdtemp(join(tmpdir(), 'weir-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable('WEIR_E2E_CHROMIUM', '/usr/bin/chromium', '/usr/bin/chromium-browser'),
    args: CHROMIUM_FLAGS,
    viewport: null,
  });
  return {
    name: 'chromium',
    async newPage({ width, height } = { width: 1280, height: 800 }) {
      const page = await context.newPage();
      await page.setViewportSize({ width, height });
      await page.addInitScript({ content: probeSource() });
      return wrap(page, {
        screenshot: (path) => page.screenshot({ path }),
        scheme: (colorScheme) => page.emulateMedia({ colorScheme }),
        resize: (size) => page.setViewportSize(size),
      });
    },
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

async function launchFirefox() {
  const { default: puppeteer } = await import('puppeteer-core');
  const browser = await puppeteer.launch({
    browser: 'firefox',
    protocol: 'webDriverBiDi',
    executablePath: executable('WEIR_E2E_FIREFOX', '/usr/bin/firefox-esr', '/usr/bin/firefox'),
    headless: true,
    extraPrefsFirefox: {
      'network.proxy.type': 0,
      'app.update.enabled': false,
      'datareporting.policy.dataSubmissionEnabled': false,
    },
  });
  return {
    name: 'firefox',
    async newPage({ width, height } = { width: 1280, height: 800 }) {
      const page = await browser.newPage();
      await page.setViewport({ width, height });
      await page.evaluateOnNewDocument(probeSource());
      return wrap(page, {
        screenshot: (path) => page.screenshot({ path }),
        // BiDi has no such setting here; the browser follows its own.
        scheme: async () => undefined,
        resize: (size) => page.setViewport(size),
      });
    },
    close: () => browser.close(),
  };
}

function wrap(page, more) {
  const lines = [];
  page.on('console', (message) => lines.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => lines.push(`pageerror: ${error.stack}`));
  return {
    console: lines,
    goto: (url) => page.goto(url, { waitUntil: 'domcontentloaded' }),
    evaluate: (code, argument) => page.evaluate(code, argument),
    ...more,
    press: (key) => page.keyboard.press(key),
    type: (text) => page.keyboard.type(text),
    /** `asked`: as when a person closes the tab, which is told to the page before. */
    close: ({ asked = false } = {}) => page.close({ runBeforeUnload: asked }),
  };
}
