/** The life of a viewer's connection: connect, keep the clock, renew the token, reconnect, give up. */

import { type ErrorCode, judgeClose, judgeStatus, retryDelayMs, type Verdict } from './backoff';
import { epochMs, ServerClock } from './clock';
import type { ServerMessage, ViewerMessage } from './protocol';
import { Transport } from './transport';

const TIME_EVERY_MS = 10_000;
const JOIN_TIMES = 3; // the answers at join wait behind the burst, so ask again in the next seconds
const SILENT_MS = 15_000; // the answer to `time` comes at least each 10 s
const OPEN_MS = 10_000; // the same from opening a socket to `hello`
const ASK_MS = 5_000;
const STABLE_MS = 10_000; // a connection this old starts the backoff anew

const ALL_TRACKS = 'true true';

export type GetToken = () => Promise<string>;

export interface ConnectionOptions {
  url: string;
  token: string | undefined;
  /** Undefined where there is none to be had. */
  getToken(): Promise<string | undefined>;
}

export interface ConnectionError {
  code: ErrorCode;
  message: string;
}

export interface ConnectionEvents {
  onConnecting(): void;
  onMessage(message: ServerMessage): void;
  onChunk(bytes: Uint8Array<ArrayBuffer>): void;
  onLost(error: ConnectionError, retryInMs: number): void;
  onFailed(error: ConnectionError): void;
  /** The token runs out, and `getToken` has no other. */
  onTokenNeeded(expiresInS: number): void;
}

function nowUs(): number {
  return epochMs() * 1000;
}

export class Connection {
  readonly clock = new ServerClock();
  /** Sockets opened so far. */
  sockets = 0;
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  #transport: Transport | undefined;
  #attempt = 0;
  #bye: Extract<ServerMessage, { type: 'bye' }> | undefined;
  #helloAtMs: number | undefined;
  #heardAtMs = 0;
  #timeSentMs = 0;
  #timesSent = 0;
  #tokenIsNew = false;
  #askedTracks = ALL_TRACKS;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #closed = false;
  readonly #retryNow = () => this.#retry !== undefined && this.#connect();

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
  }

  open(): void {
    this.#watch = setInterval(() => this.#handleTick(), 1000);
    globalThis.addEventListener('online', this.#retryNow);
    this.#connect();
  }

  send(message: ViewerMessage): void {
    this.#transport?.send(message);
  }

  /** Which tracks the server shall send; a new connection begins with all. */
  requestTracks(video: boolean, audio: boolean): void {
    const asked = `${video} ${audio}`;
    if (asked === this.#askedTracks) return;
    this.#askedTracks = asked;
    this.send({ type: 'tracks', video, audio });
  }

  setToken(token: string): void {
    this.#options.token = token;
    this.#tokenIsNew = true;
    this.send({ type: 'token', token });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    globalThis.removeEventListener('online', this.#retryNow);
    this.#transport?.close();
    this.#transport = undefined;
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#bye = undefined;
    this.#helloAtMs = undefined;
    this.#timesSent = 0;
    this.#askedTracks = ALL_TRACKS;
    this.#heardAtMs = performance.now();
    this.sockets += 1;
    this.#events.onConnecting();
    this.#transport = new Transport(this.#options.url, this.#options.token, {
      onOpen: () => this.#sendTime(),
      onMessage: (message) => this.#handleMessage(message),
      onChunk: (bytes) => {
        this.#heardAtMs = performance.now();
        this.#events.onChunk(bytes);
      },
      onClose: (code, reason) => this.#handleClose(code, reason),
    });
  }

  #handleTick(): void {
    const nowMs = performance.now();
    if (!this.#transport) return;
    const isOpen = this.#helloAtMs !== undefined;
    if (nowMs - this.#heardAtMs > (isOpen ? SILENT_MS : OPEN_MS)) {
      this.#transport.abandon('nothing heard from the server');
    } else if (isOpen && (this.#timesSent < JOIN_TIMES || nowMs - this.#timeSentMs >= TIME_EVERY_MS)) {
      this.#sendTime();
    }
  }

  #sendTime(): void {
    this.#timeSentMs = performance.now();
    this.#timesSent += 1;
    this.send({ type: 'time', t0_us: Math.round(nowUs()) });
  }

  #handleMessage(message: ServerMessage): void {
    this.#heardAtMs = performance.now();
    if (message.type === 'hello') {
      this.#helloAtMs = this.#heardAtMs;
      this.#tokenIsNew = false;
      this.clock.handleHello(message.serverTimeUs, nowUs());
    } else if (message.type === 'time') {
      this.clock.handleTime(message.t0Us, message.serverTimeUs, nowUs());
    } else if (message.type === 'token') {
      this.#tokenIsNew = false; // it was good until now
      void this.#renewToken(message.expiresInS);
    } else if (message.type === 'bye') {
      this.#bye = message;
    }
    this.#events.onMessage(message);
  }

  /** True where there is a new one; after a new one that is refused there is none. */
  async #renewToken(expiresInS: number): Promise<boolean> {
    const token = this.#tokenIsNew ? undefined : await this.#options.getToken();
    if (token === undefined) this.#events.onTokenNeeded(expiresInS);
    else this.setToken(token);
    return token !== undefined;
  }

  #handleClose(closeCode: number, closeReason: string): void {
    this.#transport = undefined;
    const helloAtMs = this.#helloAtMs;
    const code = this.#bye?.code ?? closeCode;
    const reason = this.#bye?.reason || closeReason || `closed with ${closeCode}`;
    if (helloAtMs !== undefined && performance.now() - helloAtMs >= STABLE_MS) this.#attempt = 0;
    const verdict = judgeClose(code);
    if (helloAtMs === undefined && verdict.code === 'network') void this.#askWhy(reason);
    else void this.#obey(verdict, reason, this.#bye?.retryAfterMs);
  }

  /** Browsers don't tell why an upgrade was refused; the same address without one does. */
  async #askWhy(closeReason: string): Promise<void> {
    const { token } = this.#options;
    const attempt = this.sockets;
    let verdict = judgeStatus(200);
    let message = closeReason;
    let retryAfterMs: number | undefined;
    try {
      const answer = await fetch(httpUrl(this.#options.url), {
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        cache: 'no-store',
        credentials: 'omit',
        signal: AbortSignal.timeout(ASK_MS),
      });
      verdict = judgeStatus(answer.status);
      retryAfterMs = Number(answer.headers.get('retry-after') ?? 0) * 1000 || undefined;
      if (!answer.ok) {
        const problem = await readProblem(answer);
        message = problem.text;
        if (problem.code === 'token_not_for_this') verdict = { ...verdict, code: 'token_elsewhere' };
      }
    } catch {
      message = 'the server does not answer';
    }
    if (!this.#closed && attempt === this.sockets) void this.#obey(verdict, message, retryAfterMs);
  }

  async #obey(verdict: Verdict, message: string, retryAfterMs: number | undefined): Promise<void> {
    const error = { code: verdict.code, message };
    const needsToken = verdict.action === 'new_token';
    const goesOn = needsToken ? await this.#renewToken(0) : verdict.action === 'retry';
    if (this.#closed) return;
    if (!goesOn) return this.#fail(error);
    const atOnce = needsToken && this.#attempt === 0;
    const delayMs = atOnce ? 0 : retryDelayMs(this.#attempt, Math.random(), retryAfterMs);
    this.#attempt += 1;
    this.#events.onLost(error, delayMs);
    this.#retry = setTimeout(() => this.#connect(), delayMs);
  }

  #fail(error: ConnectionError): void {
    this.close();
    this.#events.onFailed(error);
  }
}

function httpUrl(url: string): string {
  return url.replace(/^ws/, 'http');
}

/** Words and code of a problem+json body (RFC 9457). */
async function readProblem(answer: Response): Promise<{ text: string; code: unknown }> {
  const body: unknown = await answer.json().catch(() => undefined);
  const { detail, title, code } = (body ?? {}) as Record<string, unknown>;
  return { text: `${detail ?? title ?? `the server answers ${answer.status}`}`, code };
}
