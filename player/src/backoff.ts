/** When to try again after a socket closed, and when not to (interfaces.md, close codes). */

const BASE_MS = 250;
const MAX_MS = 15_000;

export type ErrorCode =
  | 'malformed'
  | 'token'
  | 'token_elsewhere'
  | 'forbidden'
  | 'not_found'
  | 'removed'
  | 'too_slow'
  | 'quota'
  | 'overloaded'
  | 'moved'
  | 'network';

export type Verdict = { action: 'retry' | 'fatal' | 'new_token'; code: ErrorCode };

const fatal = (code: ErrorCode): Verdict => ({ action: 'fatal', code });
const retry = (code: ErrorCode): Verdict => ({ action: 'retry', code });

/** By HTTP status; a close code is the same plus 4000. */
const VERDICTS: Record<number, Verdict> = {
  400: fatal('malformed'),
  401: { action: 'new_token', code: 'token' },
  403: fatal('forbidden'),
  404: fatal('not_found'),
  408: retry('too_slow'),
  410: fatal('removed'),
  429: retry('quota'),
  503: retry('overloaded'),
  504: retry('moved'),
};

export function judgeClose(closeCode: number): Verdict {
  return judgeStatus(closeCode - 4000);
}

/** Judges the answer to the question why an upgrade was refused; 200 means that it may be tried again. */
export function judgeStatus(status: number): Verdict {
  return VERDICTS[status] ?? retry('network');
}

/** Full jitter: any wait from 0 up to a ceiling that doubles; `random` is in [0, 1). */
export function retryDelayMs(attempt: number, random: number, retryAfterMs = 0): number {
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(attempt, 16));
  return Math.max(0, retryAfterMs) + random * ceiling;
}
