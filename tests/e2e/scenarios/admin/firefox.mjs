// The main path in Firefox: sign in, create a stream, publish, see it live.

import { PASSWORD, that } from '../../lib/admin.mjs';
import { launch } from '../../lib/browsers.mjs';
import { until } from '../../lib/processes.mjs';
import { publish } from '../../lib/publisher.mjs';

/** In the page: focuses the field of this label. */
function focusField(label) {
  const found = [...document.querySelectorAll('label')].find(({ textContent }) => textContent === label);
  const field = found && document.getElementById(found.htmlFor);
  field?.focus();
  return field !== null && document.activeElement === field;
}

/** In the page: presses the button or link of this name. */
function pressNamed(name) {
  const all = [...document.querySelectorAll('button, a')];
  const found = all.find((one) => one.textContent.trim() === name && !one.hasAttribute('data-disabled'));
  found?.click();
  return found !== undefined;
}

export const firefox = {
  'Firefox goes the same way': async ({ weir, people, out }) => {
    const browser = await launch('firefox');
    let publisher;
    try {
      const page = await browser.newPage({ width: 1280, height: 900 });
      const done = (what, action, argument) => until(what, 15_000, () => page.evaluate(action, argument));
      const fill = async (label, text) => {
        await done(`the field ${label}`, focusField, label);
        await page.type(text);
      };
      const press = (name) => done(`the button ${name}`, pressNamed, name);
      const sees = (text) => done(`"${text}"`, (wanted) => document.body.innerText.includes(wanted), text);
      await page.goto(`${weir.base}/admin/`);
      await fill('Login or e-mail address', people.owner);
      await fill('Password', PASSWORD);
      await press('Sign in');
      await sees('What is live now');
      await press('New stream');
      await fill('Name', 'From Firefox');
      await press('Create');
      await sees('Your stream is ready');
      const keys = await page.evaluate(() => [...document.querySelectorAll('.dialog code')].map((code) => code.textContent));
      const key = keys.find((text) => text.startsWith('sk_'));
      that(key, `no key among ${keys}`);
      await press('Open the stream');
      await sees('From Firefox');
      publisher = publish(`rtmp://127.0.0.1:${weir.rtmp}/live/${key}`, {
        size: '640x360', fps: 30, gop: 1, sentFrames: new Map(),
      });
      const shown = () => Number(document.querySelector('.preview')?.dataset.frames ?? 0);
      const first = await done('frames in the preview', shown);
      await until('more frames', 15_000, async () => (await page.evaluate(shown)) > first + 20);
      await done('a live badge', () => document.querySelector('.page-head .badge')?.textContent === 'Live');
      await page.screenshot(`${out}firefox-stream.png`);
      await press('History');
      await sees('Publishes');
      const { violations, errors } = await page.evaluate(() => window.weirProbe);
      that(violations.length === 0 && errors.length === 0, `${violations.join('; ')} ${errors.join('; ')}`);
    } finally {
      await publisher?.end('SIGTERM');
      await browser.close();
    }
  },
};
