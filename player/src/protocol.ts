/** The `weir.v1` viewer protocol: messages as tagged unions, parsed at the edge. */

const MAX_TEXT_CHARS = 4 * 1024 * 1024; // an init holds its segments in base64, some kB each
const MAX_TRACKS = 8; // one video and one audio today

export const SUBPROTOCOL = 'weir.v1';

const STREAM_STATES = ['waiting', 'live', 'stalled', 'interrupted', 'ended'] as const;
export type StreamState = (typeof STREAM_STATES)[number];

export type TrackKind = 'video' | 'audio';

export interface Track {
  id: number;
  kind: TrackKind;
  codec: string;
  /** With its `codecs` parameter, as `MediaSource.isTypeSupported` takes it. */
  mime: string;
  timescale: number;
  width?: number;
  height?: number;
  fps?: number;
  sampleRate?: number;
  channels?: number;
  init: Uint8Array<ArrayBuffer>;
}

/** Frames that the server left out. */
export interface Gap {
  track: number;
  fromUs: number;
  toUs: number;
  frames: number;
  reason: string;
}

export type ServerMessage =
  | {
      type: 'hello';
      session: string;
      stream: string;
      state: StreamState;
      serverTimeUs: number;
      targetMs: number;
      /** The server's node that the viewer is connected to. */
      node: string | undefined;
    }
  | { type: 'init'; epoch: string; tracks: Track[] }
  | { type: 'live'; edgeUs: number }
  | ({ type: 'gap' } & Gap)
  | { type: 'state'; state: StreamState }
  | { type: 'time'; t0Us: number; serverTimeUs: number }
  | { type: 'token'; expiresInS: number }
  | { type: 'bye'; code: number; reason: string; retryAfterMs: number | undefined }
  | { type: 'unknown'; name: string };

export interface ViewerStats {
  latency_ms: number | null;
  buffer_ms: number;
  stalls: number;
  stalled_ms: number;
  played_ms: number;
  dropped_frames: number;
  rate: number;
  first_frame_ms: number | null;
}

export type ViewerMessage =
  | { type: 'time'; t0_us: number }
  | { type: 'token'; token: string }
  | { type: 'tracks'; video: boolean; audio: boolean }
  | { type: 'pause' }
  | { type: 'resume' }
  | ({ type: 'stats' } & ViewerStats);

export class ProtocolError extends Error {}

export function encodeViewerMessage(message: ViewerMessage): string {
  return JSON.stringify(message);
}

/** Reads one text message; a type this player does not know comes back as `unknown`, to be ignored. */
export function parseServerMessage(text: string): ServerMessage {
  if (text.length > MAX_TEXT_CHARS) throw new ProtocolError(`text message of ${text.length} characters`);
  const of = new Fields(parseJson(text));
  const type = of.string('type');
  switch (type) {
    case 'hello':
      return {
        type,
        session: of.string('session'),
        stream: of.string('stream'),
        state: of.state('state'),
        serverTimeUs: of.number('server_time_us'),
        targetMs: of.number('target_ms'),
        node: of.optionalString('node'),
      };
    case 'init':
      return { type, epoch: of.string('epoch'), tracks: parseTracks(of) };
    case 'live':
      return { type, edgeUs: of.number('edge_us') };
    case 'gap':
      return {
        type,
        track: of.number('track'),
        fromUs: of.number('from_us'),
        toUs: of.number('to_us'),
        frames: of.number('frames'),
        reason: of.string('reason'),
      };
    case 'state':
      return { type, state: of.state('state') };
    case 'time':
      return { type, t0Us: of.number('t0_us'), serverTimeUs: of.number('server_time_us') };
    case 'token':
      return { type, expiresInS: of.number('expires_in_s') };
    case 'bye':
      return {
        type,
        code: of.number('code'),
        reason: of.string('reason'),
        retryAfterMs: of.optionalNumber('retry_after_ms'),
      };
    default:
      return { type: 'unknown', name: type };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError(`not JSON: ${text.slice(0, 60)}`);
  }
}

function parseTracks(init: Fields): Track[] {
  const list = init.list('tracks');
  if (list.length === 0 || list.length > MAX_TRACKS) throw new ProtocolError(`init: ${list.length} tracks`);
  const tracks = list.map((value, index) => parseTrack(new Fields(value, `init.tracks[${index}]`)));
  if (new Set(tracks.map((track) => track.id)).size !== tracks.length) {
    throw new ProtocolError('init: two tracks with one id');
  }
  return tracks;
}

function parseTrack(of: Fields): Track {
  const kind = of.string('kind');
  if (kind !== 'video' && kind !== 'audio') throw of.wrong('kind', 'video or audio');
  const timescale = of.number('timescale');
  if (!(timescale > 0)) throw of.wrong('timescale', 'above 0');
  const codec = of.string('codec');
  const mime = of.string('mime');
  const track: Track = {
    id: of.number('id'),
    kind,
    codec,
    mime: /codecs\s*=/.test(mime) ? mime : `${mime}; codecs="${codec}"`,
    timescale,
    init: decodeBase64(of),
  };
  for (const name of ['width', 'height', 'fps', 'sample_rate', 'channels'] as const) {
    const value = of.optionalNumber(name);
    if (value !== undefined) track[name === 'sample_rate' ? 'sampleRate' : name] = value;
  }
  return track;
}

function decodeBase64(of: Fields): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(of.string('init')), (char) => char.charCodeAt(0));
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw of.wrong('init', 'base64');
  }
}

class Fields {
  readonly #fields: Record<string, unknown>;
  readonly #name: string;

  constructor(value: unknown, name = 'message') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ProtocolError(`${name}: not an object`);
    }
    this.#fields = value as Record<string, unknown>;
    this.#name = name;
  }

  wrong(key: string, wanted: string): ProtocolError {
    const found = JSON.stringify(this.#fields[key])?.slice(0, 40) ?? 'nothing';
    return new ProtocolError(`${this.#name}.${key}: ${found} is not ${wanted}`);
  }

  string(key: string): string {
    const value = this.#fields[key];
    if (typeof value !== 'string') throw this.wrong(key, 'a string');
    return value;
  }

  optionalString(key: string): string | undefined {
    return this.#has(key) ? this.string(key) : undefined;
  }

  number(key: string): number {
    const value = this.#fields[key];
    if (!Number.isFinite(value)) throw this.wrong(key, 'a number');
    return value as number;
  }

  optionalNumber(key: string): number | undefined {
    return this.#has(key) ? this.number(key) : undefined;
  }

  state(key: string): StreamState {
    const value = this.string(key);
    const state = STREAM_STATES.find((known) => known === value);
    if (!state) throw this.wrong(key, STREAM_STATES.join(', '));
    return state;
  }

  list(key: string): unknown[] {
    const value = this.#fields[key];
    if (!Array.isArray(value)) throw this.wrong(key, 'a list');
    return value;
  }

  #has(key: string): boolean {
    return (this.#fields[key] ?? undefined) !== undefined;
  }
}
