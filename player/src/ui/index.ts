/** `<weir-player>` with media-chrome's controls, messages and statistics. */

import { PlayerWithControls } from './player-with-controls';

export * from '../element/exports';
export { PlayerWithControls as WeirPlayerElement };

if (globalThis.customElements && !customElements.get('weir-player')) {
  customElements.define('weir-player', PlayerWithControls);
}
