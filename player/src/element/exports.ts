export type {
  EngineError,
  EngineErrorCode,
  EngineState,
  GetToken,
  Stats,
  StreamState,
} from '../index';
export { Engine } from '../index';
export { parseSource, type Source } from './source';
export type { WeirPlayerEventMap } from './weir-player-element';
