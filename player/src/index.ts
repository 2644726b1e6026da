export type { GetToken } from './connection';
export type {
  EngineError,
  EngineErrorCode,
  EngineEvents,
  EngineOptions,
  EngineState,
  Stats,
  Wants,
} from './engine';
export { Engine } from './engine';
export type { StreamState, Track } from './protocol';

/** For `worker.js`, which the engine starts where browsers make a `MediaSource` in workers. */
export { serveWorker } from './worker';
