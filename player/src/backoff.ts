/** When to try again after a socket closed, and when not to (interfaces.md, close codes). */

const BASE_MS = 250;
const MAX_MS = 15_000;

export type ErrorCode =
  | 'malformed'
  | 'token'
  | 'forbidden'
  | 'not_found'
  | 'removed'
  | 'too_slow'
  | 'quota'
  | 'overloaded'
  | 'moved'
  | 'network';

export type Verdict = { action: 'retry' | 'fatal' | 'new_token'; code: ErrorCode };

const CLOSE_CODES: Record<number, Verdict> = {
  4400: { action: 'fatal', code: 'malformed' },
  4401: { action: 'new_token', code: 'token' },
  4403: { action: 'fatal', code: 'forbidden' },
  4404: { action: 'fatal', code: 'not_found' },
  4410: { action: 'fatal', code: 'removed' },
  4408: { action: 'retry', code: 'too_slow' },
  4429: { action: 'retry', code: 'quota' },
  4503: { action: 'retry', code: 'overloaded' },
  4504: { action: 'retry', code: 'moved' },
};

const STATUS_CODES: Record<number, Verdict> = {
  400: { action: 'fatal', code: 'malformed' },
  401: { action: 'new_token', code: 'token' },
  403: { action: 'fatal', code: 'forbidden' },
  404: { action: 'fatal', code: 'not_found' },
  410: { action: 'fatal', code: 'removed' },
  429: { action: 'retry', code: 'quota' },
  503: { action: 'retry', code: 'overloaded' },
};

const RETRY: Verdict = { action: 'retry', code: 'network' };

export function judgeClose(closeCode: number): Verdict {
  return CLOSE_CODES[closeCode] ?? RETRY;
}

/** Judges the answer to the question why an upgrade was refused; 200 means that it may be tried again. */
export function judgeStatus(status: number): Verdict {
  return STATUS_CODES[status] ?? RETRY;
}

/** Full jitter: any wait from 0 up to a ceiling that doubles; `random` is in [0, 1). */
export function retryDelayMs(attempt: number, random: number, retryAfterMs = 0): number {
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(attempt, 16));
  return Math.max(0, retryAfterMs) + random * ceiling;
}
