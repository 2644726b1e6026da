// What the scenarios share: waiting for a player, and figures over what it showed.

import { judge } from '../lib/judge.mjs';
import { until } from '../lib/processes.mjs';
import { awaitFrame, look } from '../lib/session.mjs';

export const LATE_MS = 10_000; // until something is there at last, on a busy machine

/** Waits until the page's player says so, or fails with what it says. */
export async function awaitState(page, wanted, ms = LATE_MS) {
  return until(`state ${wanted}`, ms, () => page.evaluate((state) => window.weir?.state === state, wanted));
}

export async function playing(page) {
  if (!(await awaitFrame(page, 0, LATE_MS))) throw new Error('no readable picture in time');
  await awaitState(page, 'playing');
}

/** Figures over what was shown since `fromT`. */
export async function shownSince(page, fromT, sentFrames) {
  const seen = await look(page);
  return { ...seen, figures: judge(seen.log.frames, { sentFrames, fromT }) };
}

export function newest(proxy) {
  return proxy.links.at(-1);
}

export function said(proxy, type) {
  return proxy.links.flatMap((link) => link.said).filter((message) => message.type === type);
}

export async function metric(weir, name) {
  const text = await (await fetch(`http://127.0.0.1:${weir.internal}/metrics`)).text();
  return Number(new RegExp(`^weir_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

export const embed = (world, query = '') =>
  `${world.proxy.base}/embed/${world.stream.playbackId}${query}#token=${world.stream.token}`;
