/** The page at `/watch/{playback_id}#token=...`. */

import { Engine, type EngineError } from '../src';
import { PAUSED, wordsFor } from './words';

const STATS_EVERY_MS = 500;
const STATS_KEY = 'weir.stats';

declare global {
  interface Window {
    weir?: Engine;
  }
}

const root = element('page', HTMLElement);
const video = element('video', HTMLVideoElement);
const stage = element('stage', HTMLElement);
let lastError: EngineError | undefined;

function main(): void {
  const playbackId = decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const url = `${scheme}://${location.host}/live/${encodeURIComponent(playbackId)}`;
  const engine = new Engine(token ? { video, url, token } : { video, url });
  window.weir = engine;
  wireEngine(engine);
  wireControls(engine);
  engine.start();
  setInterval(() => showStats(engine), STATS_EVERY_MS);
  window.addEventListener('pagehide', () => engine.stop());
  window.addEventListener('pageshow', (event) => event.persisted && engine.start());
  window.addEventListener('hashchange', () => {
    const next = new URLSearchParams(location.hash.slice(1)).get('token');
    if (next) engine.setToken(next);
  });
}

function wireEngine(engine: Engine): void {
  engine.on('state', ({ state }) => {
    if (state === 'playing' && lastError?.code !== 'codec') lastError = undefined;
    showState(engine);
  });
  engine.on('error', (error) => {
    lastError = error;
    showState(engine);
    showNote(error);
  });
  engine.on('tracks', ({ tracks, unsupported }) => {
    root.dataset.audio = String(tracks.some((track) => track.kind === 'audio'));
    if (unsupported.length > 0) return;
    if (lastError?.code === 'codec') lastError = undefined;
    element('note', HTMLElement).hidden = true;
  });
  video.addEventListener('volumechange', showVolume);
  for (const event of ['play', 'pause']) {
    video.addEventListener(event, () => {
      showPaused();
      showState(engine);
    });
  }
  showVolume();
  showPaused();
  showState(engine);
}

function wireControls(engine: Engine): void {
  const actions: Record<string, () => void> = {
    play: () => (video.paused ? void video.play().catch(() => undefined) : video.pause()),
    mute: () => {
      video.muted = !video.muted;
    },
    live: () => engine.seekToLive(),
    stats: toggleStats,
    full: toggleFull,
    retry: () => engine.start(),
  };
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-do]')) {
    button.addEventListener('click', () => actions[button.dataset.do ?? '']?.());
  }
  video.addEventListener('click', () => actions.play?.());
  video.addEventListener('dblclick', () => actions.full?.());
  const keys: Record<string, string> = { ' ': 'play', m: 'mute', f: 'full', l: 'live', i: 'stats' };
  document.addEventListener('keydown', (event) => {
    const action = keys[event.key.toLowerCase()];
    const onButton = event.target instanceof HTMLButtonElement && event.key === ' ';
    if (!action || onButton || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[action]?.();
  });
  if (remembered() === 'hidden' || (remembered() === null && window.innerWidth < 720)) toggleStats();
}

function showState(engine: Engine): void {
  const paused = video.paused && engine.state === 'playing';
  const words = paused ? PAUSED : wordsFor(engine.state, engine.stream, lastError);
  root.dataset.tone = words.tone;
  root.dataset.state = engine.state;
  text('status', words.label);
  const panel = element('message', HTMLElement);
  panel.hidden = words.title === undefined;
  text('message-title', words.title ?? '');
  text('message-help', words.help ?? '');
  text('message-detail', engine.state === 'failed' ? (lastError?.message ?? '') : '');
  element('message-retry', HTMLElement).hidden = engine.state !== 'failed';
  document.title = `${words.label} · Weir`;
}

/** A track that can't be shown while the other goes on. */
function showNote(error: EngineError): void {
  if (error.code !== 'codec') return;
  const note = element('note', HTMLElement);
  note.hidden = false;
  note.textContent = error.message;
}

function showStats(engine: Engine): void {
  const stats = engine.stats;
  const latency = stats.latencyMs === undefined ? '–' : `${Math.round(stats.latencyMs)} ms`;
  const bitrate = stats.bitrateBps > 0 ? bits(stats.bitrateBps) : '–';
  text('brief', engine.state === 'playing' ? `${latency} · ${bitrate}` : '');
  const size = stats.width > 0 ? `${stats.width} × ${stats.height}` : '–';
  const values: Record<string, string> = {
    latency,
    buffer: `${Math.round(stats.bufferMs)} / ${Math.round(stats.targetMs)} ms`,
    bitrate,
    fps: stats.fps.toFixed(1),
    size,
    dropped: `${stats.framesDropped}`,
    gaps: stats.framesLost > 0 ? `${stats.gaps} (${stats.framesLost} frames)` : `${stats.gaps}`,
    stalls: `${stats.stalls}`,
    rate: `${stats.rate.toFixed(2)} ×`,
  };
  for (const [name, value] of Object.entries(values)) text(`stat-${name}`, value);
}

function bits(bps: number): string {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(2)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`;
}

function showVolume(): void {
  root.dataset.muted = String(video.muted || video.volume === 0);
  label('mute', video.muted ? 'Unmute (m)' : 'Mute (m)');
}

function showPaused(): void {
  root.dataset.paused = String(video.paused);
  label('play', video.paused ? 'Play (space)' : 'Pause (space)');
}

function toggleStats(): void {
  const panel = element('stats', HTMLElement);
  panel.hidden = !panel.hidden;
  document.querySelector('button[data-do=stats]')?.setAttribute('aria-pressed', String(!panel.hidden));
  try {
    localStorage.setItem(STATS_KEY, panel.hidden ? 'hidden' : 'shown');
  } catch {
    // storage can be forbidden; then the choice lasts as long as the page
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(STATS_KEY);
  } catch {
    return null;
  }
}

function toggleFull(): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void stage.requestFullscreen?.().catch(() => undefined);
}

function label(action: string, words: string): void {
  for (const button of document.querySelectorAll(`button.icon[data-do=${action}]`)) {
    button.setAttribute('aria-label', words);
    button.setAttribute('title', words);
  }
}

function text(id: string, value: string): void {
  const target = element(id, HTMLElement);
  if (target.textContent !== value) target.textContent = value;
}

function element<T extends HTMLElement>(id: string, type: { new (): T }): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}

main();
