/** What the player says, in plain words, with what to do. */

import type { EngineError, EngineErrorCode, EngineState, StreamState } from '../index';

export interface Words {
  tone: 'live' | 'busy' | 'quiet' | 'bad';
  /** One or two words for the status line. */
  label: string;
  /** Said over the picture; absent while there is nothing to say. */
  title?: string;
  help?: string;
}

/** What can be told of a refused token without asking: the server says no more than that it is not good. */
export type TokenFault = 'token' | 'no_token' | 'token_expired';

export function tokenFault(token: string | undefined, nowS: number): TokenFault {
  if (!token) return 'no_token';
  try {
    const claims = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
    const { exp } = JSON.parse(atob(claims)) as { exp?: unknown };
    return typeof exp === 'number' && exp <= nowS ? 'token_expired' : 'token';
  } catch {
    return 'token';
  }
}

const ERRORS: Record<EngineErrorCode | TokenFault, { title: string; help: string }> = {
  token: {
    title: 'This link is not valid, or no longer',
    help: 'Ask whoever sent it for a new one. The whole link is needed, with what follows the # sign.',
  },
  no_token: {
    title: 'This stream needs a link with a token',
    help: 'The link you opened is not whole: what follows the # sign is missing.',
  },
  token_expired: {
    title: 'Your time to watch is over',
    help: 'The link was valid for a while only. Ask whoever sent it for a new one.',
  },
  token_elsewhere: {
    title: 'This link is for another stream',
    help: 'Or for another address or page than this one. Ask whoever sent it for the right one.',
  },
  forbidden: {
    title: 'This page may not show the stream',
    help: 'The stream is limited to certain pages. Open it where its owner shows it.',
  },
  not_found: {
    title: 'There is no such stream',
    help: 'Check the address for a typing error, or ask for a new link.',
  },
  removed: {
    title: 'You were disconnected',
    help: 'The stream was removed, or your session was ended by its owner.',
  },
  malformed: {
    title: 'The player and the server do not understand each other',
    help: 'Reload the page. If this stays, tell whoever runs the server.',
  },
  no_media_source: {
    title: 'This browser can’t play live streams',
    help: 'Use a current version of Chrome, Edge, Firefox or Safari.',
  },
  codec: {
    title: 'This browser can’t decode the stream',
    help: 'Try another browser, or ask the publisher to send H.264 and AAC.',
  },
  decode: {
    title: 'The picture could not be decoded',
    help: 'Reload the page. If this stays, the publisher is sending damaged media.',
  },
  quota: { title: 'Too many people are watching', help: 'Trying again by itself.' },
  too_slow: { title: 'Your connection is too slow', help: 'Trying again by itself.' },
  overloaded: { title: 'Connecting again', help: 'Trying again by itself.' },
  moved: { title: 'The stream is moving to another server', help: 'Trying again by itself.' },
  network: { title: 'No connection to the server', help: 'Trying again by itself.' },
};

export const PAUSED: Words = { tone: 'quiet', label: 'Paused' };
const LIVE: Words = { tone: 'live', label: 'Live' };

export interface Situation {
  state: EngineState;
  stream: StreamState | undefined;
  error: EngineError | undefined;
  /** There was a picture before. */
  sawPicture: boolean;
  token: string | undefined;
  nowS: number;
}

export function wordsFor({ state, stream, error, sawPicture, token, nowS }: Situation): Words {
  switch (state) {
    case 'idle':
      return { tone: 'quiet', label: 'Stopped' };
    case 'connecting':
      return { tone: 'busy', label: 'Connecting', title: 'Connecting …' };
    case 'waiting':
      return waiting(stream, sawPicture);
    case 'buffering':
      return buffering(stream, error);
    case 'playing':
      return stream === 'stalled' ? { tone: 'busy', label: 'Stalled' } : LIVE;
    case 'reconnecting':
      return { tone: 'busy', label: 'Reconnecting', ...ERRORS[error?.code ?? 'network'] };
    case 'ended':
      return {
        tone: 'quiet',
        label: 'Ended',
        title: 'The stream has ended',
        help: 'It goes on here by itself if the publisher starts again.',
      };
    case 'failed':
      return { tone: 'bad', label: 'Stopped', ...ERRORS[failure(error?.code ?? 'network', token, nowS)] };
  }
}

function failure(
  code: EngineErrorCode,
  token: string | undefined,
  nowS: number,
): EngineErrorCode | TokenFault {
  return code === 'token' ? tokenFault(token, nowS) : code;
}

function waiting(stream: StreamState | undefined, sawPicture: boolean): Words {
  // A server that restarted knows of no publisher before; who watches does.
  if (stream === 'interrupted' || sawPicture) {
    return {
      tone: 'busy',
      label: 'Interrupted',
      title: 'The broadcast was interrupted',
      help: 'It goes on here by itself.',
    };
  }
  return {
    tone: 'busy',
    label: 'Waiting',
    title: 'The stream has not started yet',
    help: 'It starts here by itself.',
  };
}

/** Said beside the picture: a track that can't be shown while the other goes on. */
export function noteFor(state: EngineState, error: EngineError | undefined): string | undefined {
  return state === 'playing' && error?.code === 'codec' ? error.message : undefined;
}

function buffering(stream: StreamState | undefined, error: EngineError | undefined): Words {
  if (error?.code === 'codec') return { tone: 'bad', label: 'Not playable', ...ERRORS.codec };
  if (stream === 'stalled') {
    return {
      tone: 'busy',
      label: 'Stalled',
      title: 'Nothing comes from the publisher',
      help: 'It is connected but sends no picture.',
    };
  }
  return { tone: 'busy', label: 'Buffering' };
}
