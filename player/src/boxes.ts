/** Reads what the player needs from init segments and `[prft] moof mdat` chunks (ISO/IEC 14496-12). */

const MAX_SAMPLES_PER_CHUNK = 65_536; // one video frame or some audio frames; more is damage
const NTP_TO_UNIX_S = 2_208_988_800; // 1900 to 1970
const NON_SYNC_SAMPLE = 0x0001_0000; // sample_is_non_sync_sample, 8.8.3.1

/** Defaults of `trex`, which a fragment may leave out. */
export interface TrackDefaults {
  trackId: number;
  durationTicks: number;
  flags: number;
}

/** All times in ticks of the track's timescale. */
export interface Chunk {
  trackId: number;
  /** `tfdt`: decode time of the first sample. */
  decodeTicks: number;
  /** Presentation time of the first sample. */
  presentTicks: number;
  durationTicks: number;
  samples: number;
  keyframe: boolean;
  /** Wall clock of the `prft` box, Unix microseconds. */
  wallUs?: number;
}

export class BoxError extends Error {}

export interface Box {
  type: string;
  body: DataView;
}

export function parseInit(bytes: Uint8Array): TrackDefaults[] {
  const mvex = inside(need(boxes(view(bytes)), 'moov'), 'mvex');
  return boxes(mvex.body)
    .filter((box) => box.type === 'trex')
    .map(({ body }) => ({
      trackId: u32(body, 4),
      durationTicks: u32(body, 12),
      flags: u32(body, 20),
    }));
}

export function parseChunk(bytes: Uint8Array, defaults: ReadonlyMap<number, TrackDefaults>): Chunk {
  const top = boxes(view(bytes));
  need(top, 'mdat');
  const trafs = boxes(need(top, 'moof').body).filter((box) => box.type === 'traf');
  const [traf] = trafs;
  if (!traf || trafs.length > 1) throw new BoxError(`moof with ${trafs.length} traf, wanted 1`);
  const chunk = parseTraf(traf.body, defaults);
  const prft = find(top, 'prft');
  return prft ? { ...chunk, wallUs: parsePrft(prft.body) } : chunk;
}

function parseTraf(body: DataView, defaults: ReadonlyMap<number, TrackDefaults>): Chunk {
  const parts = boxes(body);
  const header = parseTfhd(need(parts, 'tfhd').body, defaults);
  const { body: tfdt } = need(parts, 'tfdt');
  const decodeTicks = u32(tfdt, 0) >>> 24 === 1 ? u64(tfdt, 4) : u32(tfdt, 4);
  let samples = 0;
  let durationTicks = 0;
  let first: { offset: number; flags: number } | undefined;
  for (const { type, body: trun } of parts) {
    if (type !== 'trun') continue;
    const run = parseTrun(trun, header);
    samples += run.samples;
    durationTicks += run.durationTicks;
    first ??= run.first;
  }
  if (!first) throw new BoxError('traf without samples');
  return {
    trackId: header.trackId,
    decodeTicks,
    presentTicks: decodeTicks + first.offset,
    durationTicks,
    samples,
    keyframe: (first.flags & NON_SYNC_SAMPLE) === 0,
  };
}

function parseTfhd(body: DataView, defaults: ReadonlyMap<number, TrackDefaults>): TrackDefaults {
  const present = u32(body, 0) & 0xff_ffff;
  const trackId = u32(body, 4);
  const trex = defaults.get(trackId);
  let at = 8;
  if (present & 0x1) at += 8; // base_data_offset
  if (present & 0x2) at += 4; // sample_description_index
  let durationTicks = trex?.durationTicks ?? 0;
  if (present & 0x8) {
    durationTicks = u32(body, at);
    at += 4;
  }
  if (present & 0x10) at += 4; // default_sample_size
  const flags = present & 0x20 ? u32(body, at) : (trex?.flags ?? 0);
  return { trackId, durationTicks, flags };
}

interface Run {
  samples: number;
  durationTicks: number;
  first: { offset: number; flags: number } | undefined;
}

function parseTrun(body: DataView, header: TrackDefaults): Run {
  const present = u32(body, 0) & 0xff_ffff;
  const samples = u32(body, 4);
  if (samples > MAX_SAMPLES_PER_CHUNK) throw new BoxError(`trun with ${samples} samples`);
  let at = 8;
  if (present & 0x1) at += 4; // data_offset
  let firstFlags = header.flags;
  if (present & 0x4) {
    firstFlags = u32(body, at);
    at += 4;
  }
  let durationTicks = 0;
  let first: Run['first'];
  for (let sample = 0; sample < samples; sample++) {
    let flags = sample === 0 ? firstFlags : header.flags;
    let offset = 0;
    durationTicks += present & 0x100 ? u32(body, at) : header.durationTicks;
    if (present & 0x100) at += 4;
    if (present & 0x200) at += 4; // sample_size
    if (present & 0x400) {
      flags = u32(body, at);
      at += 4;
    }
    if (present & 0x800) {
      offset = u32(body, at) | 0; // signed in version 1; version 0 never goes near 2^31
      at += 4;
    }
    first ??= { offset, flags };
  }
  return { samples, durationTicks, first };
}

/** `prft`, 8.16.5: a 64-bit NTP timestamp. */
function parsePrft(body: DataView): number {
  const seconds = u32(body, 8) - NTP_TO_UNIX_S;
  return seconds * 1e6 + Math.round((u32(body, 12) / 2 ** 32) * 1e6);
}

export function boxes(data: DataView): Box[] {
  const found: Box[] = [];
  let at = 0;
  while (at < data.byteLength) {
    if (data.byteLength - at < 8) throw new BoxError(`${data.byteLength - at} bytes after the last box`);
    let size = data.getUint32(at);
    let header = 8;
    const type = String.fromCharCode(...new Uint8Array(data.buffer, data.byteOffset + at + 4, 4));
    if (size === 1) {
      size = u64(data, at + 8);
      header = 16;
    } else if (size === 0) {
      size = data.byteLength - at;
    }
    if (size < header || size > data.byteLength - at) {
      throw new BoxError(`box ${type} of ${size} bytes, ${data.byteLength - at} left`);
    }
    found.push({ type, body: new DataView(data.buffer, data.byteOffset + at + header, size - header) });
    at += size;
  }
  return found;
}

export function find(list: Box[], type: string): Box | undefined {
  return list.find((box) => box.type === type);
}

export function need(list: Box[], type: string): Box {
  const box = find(list, type);
  if (!box) throw new BoxError(`no ${type} among ${list.map((other) => other.type).join(' ')}`);
  return box;
}

export function inside(box: Box, type: string): Box {
  return need(boxes(box.body), type);
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function u8(data: DataView, at: number): number {
  within(data, at + 1);
  return data.getUint8(at);
}

export function u32(data: DataView, at: number): number {
  within(data, at + 4);
  return data.getUint32(at);
}

function u64(data: DataView, at: number): number {
  return u32(data, at) * 2 ** 32 + u32(data, at + 4);
}

function within(data: DataView, end: number): void {
  if (end > data.byteLength) throw new BoxError(`box cut short: ${data.byteLength} bytes, wanted ${end}`);
}
