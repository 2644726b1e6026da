// The script of the engine's worker; it loads the engine once more, from the cache.
import { serveWorker } from './engine.js';

serveWorker(self);
