/** One WebSocket: text to messages, binary to chunks. */

import {
  encodeViewerMessage,
  ProtocolError,
  parseServerMessage,
  type ServerMessage,
  SUBPROTOCOL,
  type ViewerMessage,
} from './protocol';

export interface TransportEvents {
  onOpen(): void;
  onMessage(message: ServerMessage): void;
  onChunk(bytes: Uint8Array<ArrayBuffer>): void;
  /** Called once, whoever closed. */
  onClose(code: number, reason: string): void;
}

export class Transport {
  readonly #socket: WebSocket;
  #events: TransportEvents | undefined;

  constructor(url: string, token: string | undefined, events: TransportEvents) {
    this.#events = events;
    this.#socket = new WebSocket(url, token ? [SUBPROTOCOL, `auth.${token}`] : [SUBPROTOCOL]);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#handleOpen();
    this.#socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.#handleData(event.data);
    this.#socket.onclose = (event) => this.#finish(event.code, event.reason);
  }

  send(message: ViewerMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeViewerMessage(message));
  }

  /** Closes without a call to `onClose`. */
  close(): void {
    this.#events = undefined;
    this.#socket.close(1000);
  }

  /** Gives the connection up, as if the network had closed it. */
  abandon(reason: string): void {
    this.#finish(1006, reason);
    this.#socket.close();
  }

  #handleOpen(): void {
    if (this.#socket.protocol === SUBPROTOCOL) this.#events?.onOpen();
    else this.abandon(`the server chose sub-protocol "${this.#socket.protocol}"`);
  }

  #handleData(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      this.#events?.onChunk(new Uint8Array(data));
      return;
    }
    try {
      this.#events?.onMessage(parseServerMessage(data));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.abandon(error.message);
    }
  }

  #finish(code: number, reason: string): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onClose(code, reason);
  }
}
