// One page in one browser: open it, let it play, bring back what the probe saw.

import { sleep } from './processes.mjs';

export async function openPage(browser, url, size) {
  const page = await browser.newPage(size);
  try {
    await page.goto(url);
  } catch (error) {
    await page.close();
    throw new Error(`${browser.name} cannot open ${url.split('#')[0]}: ${error.message}`);
  }
  return page;
}

/** Everything seen so far. */
export function look(page) {
  return page.evaluate(() => ({
    log: window.weirProbe ? { ...window.weirProbe, watchCanvas: undefined } : { frames: [], violations: [], errors: ['no probe'], states: [] },
    stats: window.weir?.stats,
    state: window.weir?.state,
    text: [
      document.body.innerText,
      ...[...(window.weir?.shadowRoot?.querySelectorAll('#note, #message, #stats') ?? [])]
        .filter((part) => !part.hidden)
        .map((part) => part.innerText),
    ].join(' '),
  }));
}

/** Waits for a picture whose number is at least `least`; undefined if there is none in time. */
export async function awaitFrame(page, least, ms) {
  const deadline = Date.now() + ms;
  while (Date.now() < deadline) {
    const frame = await page.evaluate(
      (number) => window.weirProbe?.frames.find((entry) => entry.frame !== null && entry.frame >= number),
      least,
    );
    if (frame) return frame;
    await sleep(100);
  }
  return undefined;
}

/** The player's own account, for messages about failures. */
export function account({ log, stats, state, text }, consoleLines) {
  const start = log.states[0]?.t ?? 0;
  const lines = [`state ${state}; the page says: ${text.replace(/\s+/g, ' ').slice(0, 200)}`];
  lines.push(`stats ${JSON.stringify(stats)}`);
  for (const { t, kind, ...detail } of log.states)
    lines.push(`${t - start} ms ${kind} ${JSON.stringify(detail)}`);
  for (const violation of log.violations) lines.push(`policy ${violation}`);
  for (const error of log.errors) lines.push(`error ${error}`);
  for (const line of consoleLines) lines.push(`console ${line}`);
  return lines.map((line) => `     ${line}`).join('\n');
}
