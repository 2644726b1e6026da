/** The element with its controls, keys, messages and statistics. */

import './controller';
import { WeirPlayerElement } from '../element/weir-player-element';
import { adopt } from './adopt';
import { LatencyGraph, STATS_ROWS, type StatsRow, statsText } from './stats-panel';
import { template } from './template';
import { noteFor, PAUSED, type Words, wordsFor } from './words';

const STATS_EVERY_MS = 500;
const VOLUME_STEP = 0.1;

export class PlayerWithControls extends WeirPlayerElement {
  readonly #graph = new LatencyGraph();
  #timer: ReturnType<typeof setInterval> | undefined;
  #hasAudio = false;
  #sawPicture = false;

  protected override render(root: ShadowRoot): void {
    adopt(root, template());
    const click = (id: string, action: () => void) => this.#part(id).addEventListener('click', action);
    click('unmute', () => this.#setMuted(false));
    click('message-retry', () => this.retry());
    click('toggle-stats', () => this.toggleStats());
    root.addEventListener('dblclick', ({ target }) => target === this.nativeEl && this.toggleFullscreen());
    this.addEventListener('keydown', (event) => this.handleKey(event));
    this.addEventListener('statechange', () => this.#show());
    this.addEventListener('error', () => this.#show());
    this.addEventListener('tracks', ({ detail }) => {
      this.#hasAudio = detail.tracks.some(({ kind }) => kind === 'audio');
      this.#show();
    });
    for (const name of ['play', 'pause', 'volumechange']) this.addEventListener(name, () => this.#show());
    const controller = root.querySelector<HTMLElement & { fullscreenElement: Element }>('weir-controller');
    if (controller) controller.fullscreenElement = this;
    this.controlsChanged(this.hasAttribute('controls'));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = setInterval(() => this.#showStats(), STATS_EVERY_MS);
    this.#show();
  }

  override disconnectedCallback(): void {
    clearInterval(this.#timer);
    super.disconnectedCallback();
  }

  protected override controlsChanged(shown: boolean): void {
    this.#part('bar').hidden = !shown;
    this.#part('toggle-stats').hidden = !shown;
  }

  /** The words that are shown now, for a page that says them elsewhere too. */
  get words(): Words {
    const paused = this.paused && this.state === 'playing';
    if (paused) return PAUSED;
    const { state, stream, lastError: error, shownToken: token } = this;
    return wordsFor({ state, stream, error, token, sawPicture: this.#sawPicture, nowS: Date.now() / 1000 });
  }

  toggleStats(): void {
    const panel = this.#part('stats');
    panel.hidden = !panel.hidden;
    this.#part('toggle-stats').setAttribute('aria-pressed', `${!panel.hidden}`);
    this.#showStats();
  }

  toggleFullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.requestFullscreen?.().catch(() => undefined);
  }

  /** Space or k, m, f, l, i, arrows for the volume; a page may pass on the keys that it gets itself. */
  handleKey(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const [target] = event.composedPath();
    if (target instanceof HTMLElement && pressesItself(target, key)) return;
    const actions: Record<string, () => void> = {
      ' ': () => this.#togglePlay(),
      k: () => this.#togglePlay(),
      m: () => this.#setMuted(!this.muted),
      f: () => this.toggleFullscreen(),
      l: () => this.seekToLive(),
      i: () => this.toggleStats(),
      arrowup: () => this.#changeVolume(VOLUME_STEP),
      arrowdown: () => this.#changeVolume(-VOLUME_STEP),
    };
    const action = actions[key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #togglePlay(): void {
    if (this.paused) void this.play().catch(() => undefined);
    else this.pause();
  }

  #setMuted(muted: boolean): void {
    this.muted = muted;
    if (!muted && this.volume === 0) this.volume = 1;
  }

  #changeVolume(step: number): void {
    this.volume = Math.min(1, Math.max(0, this.volume + step));
    if (step > 0) this.muted = false;
  }

  #show(): void {
    const { state, lastError } = this;
    if (state === 'playing') this.#sawPicture = true;
    const words = this.words;
    this.#part('message').hidden = words.title === undefined;
    this.#text('message-title', words.title ?? '');
    this.#text('message-help', words.help ?? '');
    this.#text('message-detail', state === 'failed' ? (lastError?.message ?? '') : '');
    this.#part('message-retry').hidden = state !== 'failed' && words.tone !== 'bad';
    const note = noteFor(state, lastError);
    this.#part('note').hidden = note === undefined;
    this.#text('note', note ?? '');
    this.#part('unmute').hidden = !(state === 'playing' && this.#hasAudio && this.muted && !this.paused);
  }

  #showStats(): void {
    const { stats } = this;
    if (!stats) return;
    if (stats.latencyMs !== undefined && this.state === 'playing') this.#graph.push(stats.latencyMs);
    if (this.#part('stats').hidden) return;
    const texts = statsText(stats);
    for (const name of Object.keys(STATS_ROWS) as StatsRow[]) this.#text(`stat-${name}`, texts[name]);
    const graph = this.#part('graph');
    if (graph instanceof HTMLCanvasElement) this.#text('graph-top', `${this.#graph.draw(graph)}`);
  }

  #part(id: string): HTMLElement {
    const part = this.shadowRoot?.getElementById(id);
    if (!part) throw new Error(`the player has no #${id}`);
    return part;
  }

  #text(id: string, value: string): void {
    const part = this.#part(id);
    if (part.textContent !== value) part.textContent = value;
  }
}

/** Buttons are pressed by space, ranges moved by arrows. */
function pressesItself(target: HTMLElement, key: string): boolean {
  const isButton = target.localName === 'button' || target.getAttribute('role') === 'button';
  const isRange = target.localName === 'input' || target.getAttribute('role') === 'slider';
  return (isButton && key === ' ') || (isRange && key.startsWith('arrow'));
}
