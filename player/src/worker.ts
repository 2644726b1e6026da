/** What a worker runs: a core that is told of the page's element by messages. */

import { type Command, Core, type CoreEvent } from './core';

interface Scope {
  onmessage: ((event: MessageEvent<Command>) => void) | null;
  postMessage(event: CoreEvent, transfer: Transferable[]): void;
}

export function serveWorker(scope: Scope): void {
  const core = new Core((event) => {
    const moved = event.type === 'attach' && typeof event.attachment === 'object' ? [event.attachment] : [];
    scope.postMessage(event, moved);
  });
  scope.onmessage = ({ data }) => core.handle(data);
}
