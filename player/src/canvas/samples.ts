/** What a decoder needs of init segments and chunks (ISO/IEC 14496-12 and -15): configuration records, samples. */

import { BoxError, boxes, inside, need, u8, u32, view } from '../boxes';

const VISUAL_FIELDS = 78; // of a VisualSampleEntry, before its boxes
const AUDIO_FIELDS = 28; // of an AudioSampleEntry

/** `description` of a decoder's configuration; undefined where the codec needs none. */
export function decoderDescription(init: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const moov = need(boxes(view(init)), 'moov');
  const trak = inside(moov, 'trak');
  const stbl = inside(inside(inside(trak, 'mdia'), 'minf'), 'stbl');
  const [entry] = boxes(tail(inside(stbl, 'stsd').body, 8));
  if (!entry) throw new BoxError('stsd without entry');
  switch (entry.type) {
    case 'avc1':
    case 'avc3':
      return copy(need(boxes(tail(entry.body, VISUAL_FIELDS)), 'avcC').body);
    case 'hvc1':
    case 'hev1':
      return copy(need(boxes(tail(entry.body, VISUAL_FIELDS)), 'hvcC').body);
    case 'mp4a':
      return specificConfig(need(boxes(tail(entry.body, AUDIO_FIELDS)), 'esds').body);
    case 'fLaC':
      return flacHeader(need(boxes(tail(entry.body, AUDIO_FIELDS)), 'dfLa').body);
    default:
      return undefined;
  }
}

/** The samples of a chunk, in decode order. */
export function samplesOf(chunk: Uint8Array): Uint8Array[] {
  const top = boxes(view(chunk));
  const mdat = need(top, 'mdat').body;
  const trun = inside(inside(need(top, 'moof'), 'traf'), 'trun').body;
  const present = u32(trun, 0) & 0xff_ffff;
  const count = u32(trun, 4);
  const bytes = new Uint8Array(mdat.buffer, mdat.byteOffset, mdat.byteLength);
  if (count <= 1 || !(present & 0x200)) return [bytes];
  const fields = [0x100, 0x200, 0x400, 0x800].filter((flag) => present & flag);
  let at = 8 + (present & 0x1 ? 4 : 0) + (present & 0x4 ? 4 : 0) + fields.indexOf(0x200) * 4;
  let from = 0;
  return Array.from({ length: count }, () => {
    const size = u32(trun, at);
    at += fields.length * 4;
    const sample = bytes.subarray(from, from + size);
    from += size;
    return sample;
  });
}

/** The AudioSpecificConfig, which is the tag 5 descriptor of `esds` (ISO/IEC 14496-1 7.2.6). */
function specificConfig(esds: DataView): Uint8Array<ArrayBuffer> {
  let at = 4;
  const header = (): { tag: number; size: number } => {
    const tag = u8(esds, at++);
    let size = 0;
    for (let more = true; more; ) {
      const byte = u8(esds, at++);
      size = size * 128 + (byte & 0x7f);
      more = (byte & 0x80) !== 0;
    }
    return { tag, size };
  };
  while (at < esds.byteLength) {
    const { tag, size } = header();
    if (tag === 3) at += 3;
    else if (tag === 4) at += 13;
    else if (tag === 5) return copy(new DataView(esds.buffer, esds.byteOffset + at, size));
    else at += size;
  }
  throw new BoxError('esds without a specific config');
}

/** `fLaC` and the metadata blocks, as WebCodecs wants them. */
function flacHeader(dfla: DataView): Uint8Array<ArrayBuffer> {
  const blocks = copy(tail(dfla, 4));
  const all = new Uint8Array(4 + blocks.length);
  all.set([0x66, 0x4c, 0x61, 0x43]);
  all.set(blocks, 4);
  return all;
}

function tail(data: DataView, from: number): DataView {
  if (data.byteLength < from) throw new BoxError(`box of ${data.byteLength} bytes, wanted ${from}`);
  return new DataView(data.buffer, data.byteOffset + from, data.byteLength - from);
}

function copy(data: DataView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() as Uint8Array<ArrayBuffer>;
}
