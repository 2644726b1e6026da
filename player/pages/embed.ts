/** The page at `/embed/{playback_id}`, for frames: settings in the query, `postMessage` both ways. */

import { WeirPlayerElement } from '../src/ui';
import { ownAddress, tokenOf } from './address';
import { embedSettings, parseFrameCommand } from './frame-api';

declare global {
  interface Window {
    weir?: WeirPlayerElement;
  }
}

const STATS_EVERY_MS = 1000;

function main(): void {
  const player = document.getElementById('player');
  if (!(player instanceof WeirPlayerElement)) throw new Error('the page has no player');
  const { src, token } = ownAddress();
  const { autoplay, muted, controls, targetMs } = embedSettings(location.search);
  window.weir = player;
  player.latencyTarget = targetMs;
  player.toggleAttribute('controls', controls);
  player.muted = muted;
  player.token = token ?? null;
  player.toggleAttribute('autoplay', autoplay);
  player.setAttribute('src', src);
  document.addEventListener('keydown', (event) => player.handleKey(event));
  window.addEventListener('hashchange', () => {
    player.token = tokenOf(location.hash) ?? null;
  });
  if (window.parent !== window) serveParent(player);
}

/** The page around this one was let in by `frame-ancestors`; it may steer, and is told what happens. */
function serveParent(player: WeirPlayerElement): void {
  const tell = (type: string, detail: object) =>
    window.parent.postMessage({ type: `weir:${type}`, ...detail }, '*');
  window.addEventListener('message', ({ source, data }) => {
    const command = source === window.parent ? parseFrameCommand(data) : undefined;
    switch (command?.type) {
      case 'weir:play':
        void player.play().catch(() => undefined);
        break;
      case 'weir:pause':
        player.pause();
        break;
      case 'weir:live':
        player.seekToLive();
        break;
      case 'weir:mute':
        player.muted = command.muted;
        return;
      case 'weir:volume':
        player.volume = command.volume;
        return;
      case 'weir:token':
        player.token = command.token;
        return;
      case 'weir:target':
        player.latencyTarget = command.targetMs;
    }
  });
  player.addEventListener('statechange', ({ detail }) => tell('state', detail));
  player.addEventListener('error', ({ detail }) => tell('error', { code: detail.code, fatal: detail.fatal }));
  player.addEventListener('tokenneeded', ({ detail }) => tell('tokenneeded', detail));
  for (const name of ['volumechange', 'play', 'pause']) {
    player.addEventListener(name, () => {
      const { muted, volume, paused } = player;
      tell(name, { muted, volume, paused });
    });
  }
  setInterval(() => {
    const { stats } = player;
    if (stats && player.state === 'playing') {
      const { latencyMs, bufferMs, bitrateBps, fps, framesDropped, stalls } = stats;
      tell('stats', { latencyMs, bufferMs, bitrateBps, fps, framesDropped, stalls });
    }
  }, STATS_EVERY_MS);
  tell('ready', {});
}

main();
