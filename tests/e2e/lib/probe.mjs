// What is put into the page before it loads: it reads the frame numbers back and counts what must not happen.

import { BITS, CELLS } from './cells.mjs';

/** Source text of the script; the page then has `window.weirProbe`. */
export function probeSource() {
  return `(${probe})(${BITS}, ${CELLS})`;
}

function probe(bits, cells) {
  const log = { frames: [], violations: [], errors: [], states: [] };
  window.weirProbe = log;
  document.addEventListener('securitypolicyviolation', (event) => {
    log.violations.push(
      `${event.violatedDirective}: ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`,
    );
  });
  window.addEventListener('error', (event) => log.errors.push(String(event.message)));
  window.addEventListener('unhandledrejection', (event) => log.errors.push(`rejected: ${event.reason}`));

  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });

  function readNumber(video) {
    const size = Math.floor((video.videoWidth ?? video.width) / cells / 2) * 2;
    if (size < 16) return null;
    canvas.width = size * cells;
    canvas.height = size;
    context.drawImage(video, 0, 0, canvas.width, size, 0, 0, canvas.width, size);
    const row = context.getImageData(0, size / 2 - 1, canvas.width, 2).data;
    const found = [];
    for (let cell = 0; cell < cells; cell++) {
      let sum = 0;
      for (let x = size / 4; x < (size * 3) / 4; x++) sum += row[Math.floor(cell * size + x) * 4 + 1];
      const mean = sum / (size / 2);
      if (mean > 90 && mean < 165) return null;
      found.push(mean >= 165 ? 1 : 0);
    }
    if (!(found[0] && !found[1] && !found[cells - 2] && found[cells - 1])) return null;
    return found.slice(2, 2 + bits).reduce((number, bit) => number * 2 + bit, 0);
  }

  function watch(video) {
    const onFrame = (now, metadata) => {
      const t = performance.timeOrigin + Math.min(performance.now(), metadata.presentationTime);
      const stats = window.weir?.stats;
      log.frames.push({
        t,
        frame: readNumber(video),
        mediaTime: metadata.mediaTime,
        presented: metadata.presentedFrames,
        currentTime: video.currentTime,
        latency_ms: stats?.latencyMs ?? null,
        buffer_ms: stats?.bufferMs ?? null,
        rate: video.playbackRate,
        state: window.weir?.state ?? null,
      });
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }

  /** The same for a canvas, looked at before each picture of the screen. */
  log.watchCanvas = (shown) => {
    let before = -1;
    const look = () => {
      const frame = shown.width > 0 ? readNumber(shown) : null;
      const t = performance.timeOrigin + performance.now();
      const stats = window.weir?.stats;
      if (frame !== before) log.frames.push({ t, frame, latency_ms: stats?.latencyMs ?? null, rate: 1, presented: 0 });
      before = frame;
      requestAnimationFrame(look);
    };
    look();
  };

  /** Pages of the server's show themselves as `window.weir`; a plain page has its own <video>. */
  const follow = () => {
    const player = window.weir ?? document.querySelector('weir-player') ?? undefined;
    if (player?.state) window.weir ??= player;
    const video = player ? player.shadowRoot?.querySelector('video') : document.querySelector('video');
    if (!video || (player && !player.player)) return setTimeout(follow, 10);
    watch(video);
    if (!player) return;
    const note = (kind, detail) => log.states.push({ t: Date.now(), kind, ...detail });
    note('state', { state: player.state });
    player.addEventListener('statechange', ({ detail }) => note('state', detail));
    player.addEventListener('error', ({ detail }) => note('error', detail));
    player.addEventListener('gap', ({ detail }) => note('gap', detail));
    player.player.on('seek', (event) => note('seek', { ...event, at: video.currentTime }));
  };
  document.addEventListener('DOMContentLoaded', follow);
}
