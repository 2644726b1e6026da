export type {
  EngineError,
  EngineErrorCode,
  EngineEvents,
  EngineOptions,
  EngineState,
  Stats,
} from './engine';
export { Engine } from './engine';
export type { StreamState, Track } from './protocol';
