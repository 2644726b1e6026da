/** `<weir-player>` without controls of its own. */

import { WeirPlayerElement } from './weir-player-element';

export * from './exports';
export { WeirPlayerElement };

if (globalThis.customElements && !customElements.get('weir-player')) {
  customElements.define('weir-player', WeirPlayerElement);
}
