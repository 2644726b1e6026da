/** media-chrome's controller around our element, and the controls that it holds. */

import 'media-chrome/dist/media-control-bar.js';
import 'media-chrome/dist/media-fullscreen-button.js';
import 'media-chrome/dist/media-live-button.js';
import 'media-chrome/dist/media-mute-button.js';
import 'media-chrome/dist/media-pip-button.js';
import 'media-chrome/dist/media-play-button.js';
import 'media-chrome/dist/media-volume-range.js';
import { MediaController } from 'media-chrome/dist/media-controller.js';

/** Its media is the <weir-player> whose shadow root it stands in, not the <video> inside. */
class WeirController extends MediaController {
  override mediaSetCallback(media: HTMLMediaElement): void {
    super.mediaSetCallback(hostOf(media));
  }

  override mediaUnsetCallback(media: HTMLMediaElement): void {
    super.mediaUnsetCallback(hostOf(media));
  }
}

function hostOf(inner: HTMLElement): HTMLMediaElement {
  const root = inner.getRootNode();
  return (root instanceof ShadowRoot ? root.host : inner) as HTMLMediaElement;
}

if (globalThis.customElements && !customElements.get('weir-controller')) {
  customElements.define('weir-controller', WeirController);
}
