export { CanvasPlayer } from './player';
