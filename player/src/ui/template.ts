import { ICON_STATS, ICON_UNMUTE } from './icons';
import { STATS_ROWS } from './stats-panel';

const CSS = `
  :host { display: inline-block; position: relative; width: 640px; max-width: 100%; aspect-ratio: 16 / 9; line-height: 1.4;
    background: #000; color: #fff;
    font: 14px/1.4 system-ui, "Segoe UI", Roboto, sans-serif; color-scheme: dark; min-width: 240px; overflow: hidden; }
  :host([hidden]), [hidden][hidden] { display: none; }
  weir-controller { display: block; width: 100%; height: 100%; --media-font-family: inherit;
    --media-control-background: transparent; --media-control-hover-background: rgb(255 255 255 / 14%);
    --media-primary-color: #fff; --media-focus-box-shadow: inset 0 0 0 2px #7cc4ff; --media-tooltip-display: none;
    --media-live-button-indicator-color: #ff4d5e; --media-range-bar-color: #fff; container-type: size; }
  video { width: 100%; height: 100%; object-fit: var(--media-object-fit, contain); display: block; }
  canvas.picture, .media > canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
  .media { position: relative; width: 100%; height: 100%; }
  media-control-bar { background: linear-gradient(transparent, rgb(0 0 0 / 72%)); padding: 20px 4px 2px; width: 100%;
    box-sizing: border-box; }
  .layer { line-height: 1.4; }
  .space { flex: 1; }
  media-volume-range { width: 84px; }
  button { font: inherit; color: inherit; cursor: pointer; border: 0; background: none; min-height: 44px; }
  button:focus-visible { outline: 2px solid #7cc4ff; outline-offset: -2px; border-radius: 6px; }
  svg { width: 24px; height: 24px; fill: currentColor; display: block; }
  .icon { display: grid; place-items: center; width: 44px; padding: 0; }
  .icon { color: #fff; }
  .icon:hover { background: rgb(255 255 255 / 14%); }
  .icon[aria-pressed="true"] { color: #7cc4ff; }
  .unmute { display: inline-flex; align-items: center; gap: 8px; padding: 4px 18px 4px 12px; border-radius: 999px;
    background: #fff; color: #10141a; font-weight: 600; box-shadow: 0 4px 20px rgb(0 0 0 / 50%); margin-bottom: 12px; }
  .unmute:hover { background: #dfe6ee; }
  .bottom { position: absolute; inset: auto 0 60px; display: grid; justify-items: center; pointer-events: none; }
  .bottom > * { pointer-events: auto; }
  .message { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 6px;
    padding: 12px 16px; text-align: center; background: rgb(8 10 13 / 78%); box-sizing: border-box; overflow: auto;
    grid-template-columns: minmax(0, 1fr); }
  .message p { margin: 0; max-width: 46ch; overflow-wrap: anywhere; text-wrap: balance; color: #c9d2dc; }
  .message .title { font-size: clamp(16px, 4cqi, 26px); font-weight: 650; color: #fff; text-wrap: balance; }
  .message .detail { color: #a8b3bf; font-size: 12px; }
  .message button { margin-top: 6px; padding: 0 20px; border-radius: 8px; background: #fff; color: #10141a;
    font-weight: 600; }
  .note { position: absolute; inset: 12px 12px auto; margin: 0 auto; width: fit-content; max-width: calc(100% - 24px);
    box-sizing: border-box; padding: 6px 12px; border-radius: 8px; background: rgb(18 22 27 / 92%);
    border: 1px solid #f5b83d; overflow-wrap: anywhere; }
  .stats { position: absolute; top: 10px; right: 10px; width: 230px; max-width: calc(100% - 20px);
    max-height: calc(100% - 74px); overflow: auto; box-sizing: border-box; padding: 8px 12px; border-radius: 8px;
    background: rgb(12 15 19 / 88%); border: 1px solid rgb(255 255 255 / 12%); font-size: 12px;
    font-variant-numeric: tabular-nums; }
  .stats dl { margin: 0; }
  .stats dl div { display: flex; justify-content: space-between; gap: 12px; }
  .stats dt { color: #a8b3bf; }
  .stats dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
  .stats canvas { width: 100%; height: 44px; display: block; margin-top: 6px; }
  .stats p { margin: 2px 0 0; color: #a8b3bf; }
  @container (max-width: 420px) { media-volume-range, media-pip-button { display: none; } }
  @container (max-height: 240px) { .message .detail { display: none; } .message { padding: 4px 12px 8px; gap: 2px; font-size: 13px; }
    .stats { font-size: 11px; line-height: 1.25; width: calc(100% - 20px); } .stats canvas { height: 30px; }
    .stats dl { display: grid; grid-template-columns: 1fr 1fr; column-gap: 20px; }
    .stats:not([hidden]) ~ .bottom { display: none; } }
`;

export function template(): string {
  const rows = Object.entries(STATS_ROWS).map(
    ([name, label]) => `<div><dt>${label}</dt><dd id="stat-${name}">–</dd></div>`,
  );
  return `<style>${CSS}</style>
<weir-controller nohotkeys noautoseektolive novolumepref nomutedpref exportparts="chrome">
  <div slot="media" class="media"><video part="video" playsinline tabindex="-1"></video></div>
  <div slot="middle-chrome" class="layer" noautohide>
    <p id="note" class="note" role="alert" hidden></p>
    <section id="stats" class="stats" aria-label="Statistics" tabindex="0" hidden>
      <dl>${rows.join('')}</dl>
      <canvas id="graph" width="412" height="88" role="img" aria-label="Latency over the last minute"></canvas>
      <p>Last minute, up to <span id="graph-top">500</span> ms</p>
    </section>
    <div class="bottom">
      <button type="button" id="unmute" class="unmute" hidden>${ICON_UNMUTE}Unmute</button>
    </div>
    <div id="message" class="message" hidden>
      <div role="status"><p id="message-title" class="title"></p><p id="message-help"></p></div>
      <p id="message-detail" class="detail"></p>
      <button type="button" id="message-retry" hidden>Try again</button>
    </div>
  </div>
  <slot></slot>
  <media-control-bar id="bar">
    <media-play-button></media-play-button>
    <media-mute-button></media-mute-button>
    <media-volume-range></media-volume-range>
    <media-live-button></media-live-button>
    <span class="space"></span>
    <button type="button" id="toggle-stats" class="icon" aria-label="Statistics (i)" aria-pressed="false"
      title="Statistics (i)">${ICON_STATS}</button>
    <media-pip-button></media-pip-button>
    <media-fullscreen-button></media-fullscreen-button>
  </media-control-bar>
</weir-controller>`;
}
