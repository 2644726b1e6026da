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
    const host = hostOf(media);
    const isFocusable = host.hasAttribute('tabindex');
    super.mediaSetCallback(host);
    // It takes its media out of the tab order, and with a host all that is inside.
    if (!isFocusable) host.removeAttribute('tabindex');
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
