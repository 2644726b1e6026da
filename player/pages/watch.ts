/** The page at `/watch/{playback_id}#token=...`. */

import { WeirPlayerElement } from '../src/ui';
import { ownAddress, streamName, tokenOf } from './address';

declare global {
  interface Window {
    /** For people with a console, and for tests. */
    weir?: WeirPlayerElement;
  }
}

function main(): void {
  const player = document.getElementById('player');
  if (!(player instanceof WeirPlayerElement)) throw new Error('the page has no player');
  const address = ownAddress();
  window.weir = player;
  player.token = address.token ?? null;
  player.setAttribute('src', address.src);
  for (const name of ['statechange', 'error', 'play', 'pause'])
    player.addEventListener(name, () => show(player));
  document.addEventListener('keydown', (event) => player.handleKey(event));
  window.addEventListener('hashchange', () => {
    player.token = tokenOf(location.hash) ?? null;
  });
  text('name', address.playbackId);
  void streamName(address).then((name) => {
    if (!name) return;
    text('name', name);
    show(player);
  });
  show(player);
}

function show(player: WeirPlayerElement): void {
  const { label, tone } = player.words;
  text('status', label);
  element('dot').className = `dot ${tone}`;
  document.title = `${element('name').textContent} · ${label}`;
}

function text(id: string, value: string): void {
  const target = element(id);
  if (target.textContent !== value) target.textContent = value;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

main();
