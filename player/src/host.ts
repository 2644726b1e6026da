/** Runs a core: in a worker of its own where the browser can make a MediaSource there, else in the page. */

import { type Command, Core, type CoreEvent } from './core';
import { worksInWorker } from './mse';

export interface CoreHost {
  readonly inWorker: boolean;
  send(command: Command): void;
}

export function startCore(useWorker: boolean, emit: (event: CoreEvent) => void): CoreHost {
  if (useWorker && worksInWorker()) return new WorkerHost(emit);
  const core = new Core(emit);
  return { inWorker: false, send: (command) => core.handle(command) };
}

class WorkerHost implements CoreHost {
  readonly #emit: (event: CoreEvent) => void;
  #worker: Worker | undefined;
  #url: string | undefined;
  #core: Core | undefined;
  /** What a core in the page would need to know if there is never an answer; undefined once there is one. */
  #unanswered: Command[] | undefined = [];

  constructor(emit: (event: CoreEvent) => void) {
    this.#emit = emit;
    try {
      this.#open();
    } catch {
      this.#fallBack();
    }
  }

  get inWorker(): boolean {
    return this.#core === undefined;
  }

  send(command: Command): void {
    if (command.type !== 'view') this.#unanswered?.push(command);
    if (this.#core) this.#core.handle(command);
    else if (command.type === 'stop' && this.#unanswered) this.#end();
    else this.#worker?.postMessage(command);
  }

  #open(): void {
    try {
      // Bundlers look for just these words.
      this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    } catch {
      // A page may not start a worker from another origin, but from a script of its own that imports one.
      const script = `import ${JSON.stringify(new URL('./worker.js', import.meta.url).href)}`;
      this.#url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
      this.#worker = new Worker(this.#url, { type: 'module' });
    }
    this.#worker.onmessage = ({ data }: MessageEvent<CoreEvent>) => this.#handleEvent(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      if (this.#unanswered) this.#fallBack();
    };
  }

  #handleEvent(event: CoreEvent): void {
    this.#unanswered = undefined;
    if (event.type === 'stopped') this.#end();
    this.#emit(event);
  }

  /** The worker did not load: a policy, or a bundler that does not know of it. */
  #fallBack(): void {
    const commands = this.#unanswered ?? [];
    this.#end();
    this.#core = new Core(this.#emit);
    for (const command of commands) this.#core.handle(command);
  }

  #end(): void {
    this.#unanswered = undefined;
    this.#worker?.terminate();
    this.#worker = undefined;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = undefined;
  }
}
