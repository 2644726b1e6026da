/** What the watch page says, in plain words, with what to do. */

import type { EngineError, EngineErrorCode, EngineState, StreamState } from '../src';

export interface Words {
  tone: 'live' | 'busy' | 'quiet' | 'bad';
  /** One or two words for the status line. */
  label: string;
  /** Said over the picture; absent while there is nothing to say. */
  title?: string;
  help?: string;
}

const ERRORS: Record<EngineErrorCode, { title: string; help: string }> = {
  token: {
    title: 'This link is not valid, or no longer',
    help: 'Ask whoever sent it for a new one. The whole link is needed, with what follows the # sign.',
  },
  forbidden: {
    title: 'You may not watch this stream from here',
    help: 'The stream is limited to certain pages or addresses. Ask whoever sent the link.',
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

export function wordsFor(
  state: EngineState,
  stream: StreamState | undefined,
  error: EngineError | undefined,
): Words {
  switch (state) {
    case 'idle':
      return { tone: 'quiet', label: 'Stopped' };
    case 'connecting':
      return { tone: 'busy', label: 'Connecting', title: 'Connecting …' };
    case 'waiting':
      return waiting(stream);
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
      return { tone: 'bad', label: 'Stopped', ...ERRORS[error?.code ?? 'network'] };
  }
}

function waiting(stream: StreamState | undefined): Words {
  if (stream === 'interrupted') {
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
