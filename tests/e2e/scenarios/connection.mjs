// What is asked and told: tracks, pauses, tokens, refusals, reconnects, last words (P10 to P12, P19).

import { sleep, until } from '../lib/processes.mjs';
import { chunkFacts } from '../lib/proxy.mjs';
import { awaitFrame, look } from '../lib/session.mjs';
import { startSlowLine } from '../lib/slow_line.mjs';
import { awaitState, embed, LATE_MS, newest, playing, said, shownSince } from './support.mjs';

const KINDS = { 1: 'video', 2: 'audio' };

/** What goes to the viewers from now on: `{ chunks: [{ kind, key, at }], silent(kind) }`. */
function watchWire(proxy) {
  const chunks = [];
  proxy.keep = (bytes) => {
    const { track, key } = chunkFacts(bytes);
    chunks.push({ kind: KINDS[track], key, at: Date.now() });
    return true;
  };
  return {
    chunks,
    /** Resolves when none of the kind came for half a second. */
    silent: (kind) =>
      until(`${kind} to stop`, LATE_MS, () => Date.now() - (chunks.findLast((one) => one.kind === kind)?.at ?? 0) > 500),
  };
}

/** The player begins anew with it. */
async function setUnseenTimeout(page, proxy, ms) {
  const links = proxy.links.length;
  await page.evaluate((value) => window.weir.setAttribute('unseen-timeout', value), `${ms}`);
  await until('a second connection', LATE_MS, () => proxy.links.length > links);
  await awaitState(page, 'playing');
}

const isClosed = ({ browser }) => browser.readyState === browser.CLOSED;

/** In the page. */
function hideTab(isHidden) {
  Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

/** In the page. */
function moveAway(isAway) {
  window.weir.style.translate = isAway ? '0 300vh' : '';
}

export const connection = {
  // P10: out of sight for a second it pauses, for six it gives the connection up; both ways of being out of sight
  unseen: {
    async run({ open, url, expect, proxy }) {
      const page = await open(url);
      await playing(page);
      await setUnseenTimeout(page, proxy, 1000);
      const latencies = {};
      for (const [name, hide] of Object.entries({ hidden: hideTab, outside: moveAway })) {
        const link = newest(proxy);
        await page.evaluate(hide, true);
        await until(`${name}: a pause in band`, LATE_MS, () => link.said.some(({ type }) => type === 'pause'));
        await until(`${name}: the connection to be given up`, 15_000, () => isClosed(link));
        const last = link.said.at(-1);
        expect.that(last.type === 'stats', `${name}: its last words are ${JSON.stringify(last)}`);
        const links = proxy.links.length;
        await sleep(1500);
        expect.that(proxy.links.length === links, `${name}: it came back unseen`);
        const fromT = Date.now();
        await page.evaluate(hide, false);
        await until(`${name}: another connection`, LATE_MS, () => proxy.links.length > links);
        latencies[name] = await until(`${name}: the live edge`, LATE_MS, async () => {
          const { log, stats, state } = await look(page);
          const isLive = state === 'playing' && stats.latencyMs < stats.targetMs + 400;
          return isLive && log.frames.some(({ t }) => t > fromT + 500) && Math.round(stats.latencyMs);
        });
      }
      return latencies;
    },
  },

  // P10: seen again before that, it goes on by the same connection
  glance: {
    async run({ open, url, expect, proxy }) {
      const page = await open(url);
      await playing(page);
      await setUnseenTimeout(page, proxy, 2000);
      const link = newest(proxy);
      await page.evaluate(hideTab, true);
      await until('a pause in band', LATE_MS, () => link.said.some(({ type }) => type === 'pause'));
      await page.evaluate(hideTab, false);
      const fromT = Date.now();
      await until('a resume in band', 5000, () => link.said.some(({ type }) => type === 'resume'));
      await until('pictures again', LATE_MS, async () => {
        const { log, stats } = await look(page);
        return log.frames.some(({ t }) => t > fromT + 500) && stats.latencyMs < stats.targetMs + 400;
      });
      const { stats, state } = await look(page);
      expect.that(state === 'playing' && !isClosed(link), `state ${state}, another connection`);
      return { latency_ms: Math.round(stats.latencyMs) };
    },
  },

  // What the real server sends after `tracks`
  tracks: {
    async run({ open, expect, proxy, sentFrames, ...world }) {
      const page = await open(embed({ proxy, ...world }, '?autoplay=1'));
      await playing(page);
      const wire = watchWire(proxy);
      const set = (attributes) =>
        page.evaluate((names) => {
          for (const name of ['audio-only', 'video-only']) window.weir.toggleAttribute(name, names.includes(name));
        }, attributes);
      const away = {};
      for (const [name, kind, other] of [['audio-only', 'video', 'audio'], ['video-only', 'audio', 'video']]) {
        await set([name]);
        await wire.silent(kind);
        const { chunks } = wire;
        const before = chunks.length;
        await sleep(1500);
        const kinds = chunks.slice(before).map((chunk) => chunk.kind);
        expect.that(!kinds.includes(kind), `${name}: ${kind} is still sent`);
        expect.that(kinds.filter((sent) => sent === other).length > 20, `${name}: ${kinds.length} chunks in 1.5 s`);
        await awaitState(page, 'playing');
        const time = await page.evaluate(() => window.weir.currentTime);
        await sleep(1000);
        const since = (await page.evaluate(() => window.weir.currentTime)) - time;
        expect.that(since > 0.6 && since < 1.6, `${name}: ${since} s of media in 1 s`);
        const newestSent = Math.max(...sentFrames.keys());
        const from = chunks.length;
        const fromT = Date.now();
        await set([]);
        const first = await until(`${kind} again`, LATE_MS, () => chunks.slice(from).find((sent) => sent.kind === kind));
        if (kind === 'video') expect.that(first.key, 'the picture begins without a keyframe');
        const frame = await awaitFrame(page, newestSent, LATE_MS);
        expect.that(frame, `${name}: no picture from ${newestSent} after it`);
        away[name] = frame ? Math.round(Math.max(frame.t, fromT) - fromT) : null;
        await awaitState(page, 'playing');
      }
      await page.evaluate(() => {
        window.weir.muted = false; // sound is there again
      });
      const { stats, log } = await look(page);
      const errors = log.states.filter(({ kind }) => kind === 'error');
      expect.that(stats.sockets === 1 && stats.rebuilds === 0, `${stats.sockets} sockets, ${stats.rebuilds} rebuilds`);
      expect.that(errors.length === 0, `errors: ${JSON.stringify(errors)}`);
      return away;
    },
  },

  // What the real server sends after `pause` and `resume`
  pause: {
    async run({ open, expect, proxy, sentFrames, url }) {
      const page = await open(url);
      await playing(page);
      const wire = watchWire(proxy);
      const { stats: before } = await look(page);
      await page.press(' ');
      await until('a pause in band', LATE_MS, () => newest(proxy).said.some(({ type }) => type === 'pause'));
      await wire.silent('video');
      await wire.silent('audio');
      const sent = wire.chunks.length;
      const { log } = await look(page);
      const lastShown = log.frames.at(-1).frame;
      await sleep(2000);
      expect.that(wire.chunks.length === sent, `${wire.chunks.length - sent} chunks came while paused`);
      expect.that((await page.evaluate(() => window.weir.videoWidth)) === 640, 'the picture is gone');
      const newestSent = Math.max(...sentFrames.keys());
      const fromT = Date.now();
      await page.press(' ');
      const first = await until('video', LATE_MS, () => wire.chunks.slice(sent).find(({ kind }) => kind === 'video'));
      expect.that(first.key, 'it goes on without a keyframe');
      const frame = await awaitFrame(page, newestSent, LATE_MS);
      expect.that(frame, `no picture from ${newestSent}, the last before was ${lastShown}`);
      await until('the live edge', LATE_MS, async () => {
        const { stats, state } = await look(page);
        return state === 'playing' && stats.latencyMs < stats.targetMs + 300;
      });
      const { stats } = await look(page);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      const grown = stats.targetMs - before.targetMs;
      expect.that(grown < 100, `what came again was taken for B frames: the target grew by ${grown} ms`);
      return { first_ms: frame && Math.round(frame.t - fromT), latency_ms: Math.round(stats.latencyMs) };
    },
  },

  // 429 before the upgrade and 4429 after it: a clear message, and back by itself
  quota: {
    async run({ open, weir, proxy, expect, out, browser }) {
      const stream = await weir.createStream('quota');
      const allow = (viewers) => weir.api('PATCH', `/tenants/${stream.tenant}`, { quotas: { viewers } }, [200]);
      await allow(1);
      const address = `${proxy.base}/watch/${stream.playbackId}#token=${stream.token}`;
      const first = await open(address);
      await awaitState(first, 'waiting');
      const second = await open(address);
      // All at once: the code alone may be of an earlier refusal, and the words go with the next try.
      const told = (page, code, words) =>
        until(`${code} told`, LATE_MS, async () => {
          const { text, state } = await look(page);
          const last = await page.evaluate(() => window.weir.lastError?.code);
          return last === code && state === 'reconnecting' && text.includes(words);
        });
      await told(second, 'quota', 'Too many people are watching');
      await second.screenshot(`${out}${browser.name}-quota.png`);
      const tries = await second.evaluate(() => window.weir.stats.sockets);
      await allow(5);
      await awaitState(second, 'waiting', 25_000);
      const after = await second.evaluate(() => window.weir.stats.sockets);
      for (const [code, close, words] of [['quota', 4429, 'Too many people'], ['overloaded', 4503, 'Connecting again']]) {
        const links = proxy.links.length;
        const since = Date.now();
        newest(proxy).bye(close, code, 1500);
        await told(second, code, words);
        await until(`a connection after ${close}`, LATE_MS, () => proxy.links.length > links);
        const waited = newest(proxy).openedAt - since;
        expect.that(waited >= 1450, `${close}: back after ${waited} ms, was asked to wait 1500`);
        await awaitState(second, 'waiting');
      }
      return { tries, after };
    },
  },

  // The last figures of a page that is left; of a tab that is closed they may be lost with its process, but not always
  leave: {
    async run({ open, url, proxy, expect }) {
      const told = { elsewhere: 0, closed: 0 };
      for (const how of ['elsewhere', 'closed', 'closed', 'closed']) {
        const page = await open(url);
        await playing(page);
        await sleep(500);
        const link = newest(proxy);
        const before = link.said.filter(({ type }) => type === 'stats').length;
        if (how === 'elsewhere') await page.goto(`${proxy.base}/livez`);
        else await page.close({ asked: true });
        await until(`${how}: the socket to close`, LATE_MS, () => isClosed(link));
        const last = link.said.filter(({ type }) => type === 'stats').slice(before);
        expect.that(last.length <= 1, `${how}: told ${last.length} times`);
        expect.that(!last[0] || last[0].played_ms > 0, `${how}: ${JSON.stringify(last)}`);
        told[how] += last.length;
      }
      expect.that(told.elsewhere === 1 && told.closed > 0, 'the last figures were not told');
      return told;
    },
  },

  // P11
  reconnect: {
    async run({ open, url, expect, proxy, sentFrames }) {
      const page = await open(url);
      await playing(page);
      await page.evaluate(() => {
        window.weir.muted = true;
      });
      let fromT = Date.now();
      newest(proxy).cut();
      await until('a second socket', LATE_MS, async () => (await look(page)).stats.sockets === 2);
      await awaitState(page, 'playing');
      await sleep(700);
      const cut = await shownSince(page, fromT, sentFrames);
      expect.that(cut.figures.freeze_ms < 2500, `frozen ${cut.figures.freeze_ms} ms after a cut`);
      const kept = await page.evaluate(() => ({
        width: window.weir.videoWidth,
        muted: window.weir.muted,
      }));
      expect.that(kept.width === 640 && kept.muted, `picture ${kept.width} wide, muted ${kept.muted}`);

      fromT = Date.now();
      const links = proxy.links.length;
      newest(proxy).bye(4503, 'draining', 1200);
      await until('a third socket', LATE_MS, () => proxy.links.length > links);
      const waited = newest(proxy).openedAt - fromT;
      expect.that(waited >= 1150, `back after ${waited} ms, was asked to wait 1200`);
      await awaitState(page, 'playing');

      const before = proxy.links.length;
      newest(proxy).bye(4410, 'kicked');
      await awaitState(page, 'failed');
      await sleep(1500);
      expect.that(proxy.links.length === before, 'it came back though it was told to stay away');
      return { cut_freeze_ms: cut.figures.freeze_ms, waited_ms: waited };
    },
  },

  // P12
  token: {
    async run({ open, weir, proxy, stream, expect, sentFrames }) {
      const short = await weir.token(stream, 33);
      const fresh = await weir.token(stream, 600);
      const page = await open(`${proxy.base}/watch/${stream.playbackId}#token=${short}`);
      await page.evaluate((token) => {
        window.weir.getToken = async () => token;
      }, fresh);
      await playing(page);
      const fromT = Date.now();
      const link = newest(proxy);
      const renewal = await until('the new token in band', 15_000, () =>
        link.said.find(({ type }) => type === 'token'),
      );
      expect.that(renewal.token === fresh, 'another token than that of getToken');
      await sleep(1000);
      const { stats, figures } = await shownSince(page, fromT, sentFrames);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(figures.freeze_ms < 500, `frozen ${figures.freeze_ms} ms`);
      const refused = await open(`${proxy.base}/watch/${stream.playbackId}`);
      await awaitState(refused, 'failed');
      const { text } = await look(refused);
      expect.that(text.includes('needs a link with a token'), `without a token the page says: ${text}`);
      const other = await weir.createStream('another', stream.tenant);
      const elsewhere = await open(`${proxy.base}/watch/${other.playbackId}#token=${stream.token}`);
      await awaitState(elsewhere, 'failed');
      const words = (await look(elsewhere)).text;
      const code = await elsewhere.evaluate(() => window.weir.lastError.code);
      expect.that(code === 'token_elsewhere', `code ${code}`);
      expect.that(words.includes('for another stream'), `for another stream the page says: ${words}`);
    },
  },

  audioonly: {
    async run(world) {
      const { open, expect, proxy } = world;
      const page = await open(embed(world, '?autoplay=0'));
      await page.evaluate(() => {
        window.weir.muted = true;
        window.weir.setAttribute('audio-only', '');
        void window.weir.play();
      });
      await awaitState(page, 'playing');
      const asked = await until('a tracks message', LATE_MS, () =>
        newest(proxy).said.find(({ type }) => type === 'tracks'),
      );
      expect.that(asked.video === false && asked.audio === true, `asked for ${JSON.stringify(asked)}`);
      const time = () => page.evaluate(() => [window.weir.currentTime, window.weir.videoWidth]);
      const [from, width] = await time();
      await sleep(1500);
      const [to] = await time();
      expect.that(width === 0, `a picture ${width} wide`);
      expect.that(to - from > 1 && to - from < 2.5, `${to - from} s of sound in 1.5 s`);
    },
  },

  // The server leaves out frames for a line of half the stream's rate: whole pictures only, near live
  slow: {
    only: 'chromium', // what is shown is the server's choice
    async run({ open, weir, stream, sentFrames, expect, out, browser }) {
      const line = await startSlowLine(weir.base);
      try {
        const page = await open(`${line.base}/watch/${stream.playbackId}#token=${stream.token}`);
        await playing(page);
        const { bitrate } = await weir.api('GET', `/streams/${stream.id}`, undefined, [200]);
        line.set(bitrate / 8 / 2);
        await sleep(8000); // the player gets used to it
        const fromT = Date.now();
        await sleep(15_000);
        const { figures, stats, state } = await shownSince(page, fromT, sentFrames);
        await page.screenshot(`${out}${browser.name}-slow.png`);
        expect.that(figures.unreadable === 0 && figures.unknown === 0, `${figures.unreadable} pictures were broken`);
        expect.that(figures.back.length === 0, `numbers went back: ${figures.back}`);
        expect.that(figures.distinct >= 15, `${figures.distinct} pictures in 15 s`);
        expect.that(figures.latency_ms <= 1500, `${figures.latency_ms} ms behind`);
        expect.that(stats.sockets === 1 && stats.rebuilds === 0, `${stats.sockets} sockets, ${stats.rebuilds} rebuilds`);
        const { data } = await weir.api('GET', `/sessions?stream=${stream.id}`, undefined, [200]);
        expect.that(data.some((session) => session.frames_dropped > 0), `sessions ${JSON.stringify(data)}`);
        return { behind_ms: figures.latency_ms, target_ms: Math.round(stats.targetMs), pictures: figures.distinct, state };
      } finally {
        await line.close();
      }
    },
  },
};
