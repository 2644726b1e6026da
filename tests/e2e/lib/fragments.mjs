// A clip as CMAF chunks: ffmpeg writes one fragmented MP4 per track, which is split here.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clipInput } from './clip.mjs';

const FLAGS =
  '+frag_every_frame+empty_moov+default_base_moof+separate_moof+skip_trailer+negative_cts_offsets';
const NTP_TO_UNIX_S = 2_208_988_800;

/** `{ fps, tracks: [{ kind, id, codec, mime, timescale, init, width?, height?, samples: [...] }] }` */
async function makeClip(options) {
  const folder = await mkdtemp(join(tmpdir(), 'weir-clip-'));
  try {
    const outputs = [{ kind: 'video', map: '0:v' }];
    if (options.audio !== 'no') outputs.push({ kind: 'audio', map: '1:a' });
    // Options before an output hold for that output only, so the encoder's are given again for the second.
    const [head, tail] = splitEncoder(clipInput(options));
    const command = [...head];
    for (const { kind, map } of outputs) {
      command.push(...tail, '-map', map, '-movflags', FLAGS, '-f', 'mp4', '-y', join(folder, `${kind}.mp4`));
    }
    await promisify(execFile)('ffmpeg', command);
    const tracks = [];
    for (const { kind } of outputs) tracks.push(readTrack(await readFile(join(folder, `${kind}.mp4`)), kind));
    return { fps: Number(options.fps ?? 30), first: Number(options.first ?? 0), tracks };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** By name; one after the other, as an encoder takes all the machine anyway. */
export async function makeClips(options) {
  const made = {};
  for (const [name, wanted] of Object.entries(options)) made[name] = await makeClip(wanted);
  return made;
}

function splitEncoder(args) {
  const at = args.indexOf('-vf');
  return [args.slice(0, at), args.slice(at)];
}

function readTrack(file, kind) {
  const id = kind === 'video' ? 1 : 2;
  const boxes = [...children(file, 0, file.length)];
  const moov = boxes.find((box) => box.type === 'moov');
  const init = Buffer.from(file.subarray(0, moov.end));
  setTrackId(init, id);
  const timescale = init.readUInt32BE(init.indexOf('mdhd') + 16);
  const samples = [];
  for (const [at, moof] of boxes.entries()) {
    if (moof.type !== 'moof') continue;
    const mdat = boxes[at + 1];
    const bytes = Buffer.from(file.subarray(moof.start, mdat.end));
    bytes.writeUInt32BE(id, bytes.indexOf('tfhd') + 8);
    samples.push({ bytes, ...readTimes(bytes), kind });
  }
  for (const [at, sample] of samples.entries()) {
    const next = samples[at + 1];
    sample.duration = next ? next.dts - sample.dts : samples[at - 1].duration;
    sample.key = isSync(sample.bytes);
  }
  return { kind, id, timescale, init, samples, ...codecOf(init, kind) };
}

function* children(data, from, to) {
  for (let at = from; at + 8 <= to; ) {
    const size = data.readUInt32BE(at);
    yield { type: data.toString('latin1', at + 4, at + 8), start: at, end: at + size };
    at += size;
  }
}

function setTrackId(init, id) {
  init.writeUInt32BE(id, init.indexOf('tkhd') + 16);
  init.writeUInt32BE(id, init.indexOf('trex') + 8);
}

function readTimes(chunk) {
  const tfdt = chunk.indexOf('tfdt');
  if (chunk[tfdt + 4] !== 1) throw new Error('tfdt version 0: made by an ffmpeg older than expected');
  const trun = chunk.indexOf('trun');
  const flags = chunk.readUInt32BE(trun + 4) & 0xffffff;
  const skip = [0x1, 0x4, 0x100, 0x200, 0x400].filter((flag) => flags & flag).length * 4;
  return {
    dts: Number(chunk.readBigUInt64BE(tfdt + 8)),
    offset: flags & 0x800 ? chunk.readInt32BE(trun + 12 + skip) : 0,
  };
}

const NON_SYNC_SAMPLE = 0x1_0000;

/** Whether one can start with the chunk's first sample, by the flags of `trun`, or else of `tfhd`. */
export function isSync(chunk) {
  const trun = chunk.indexOf('trun');
  const ofTrun = chunk.readUInt32BE(trun + 4) & 0xffffff;
  const after = (flags, skipped) => skipped.filter((flag) => flags & flag).length * 4;
  let at = trun + 12 + after(ofTrun, [0x1]);
  if (!(ofTrun & 0x404)) {
    const tfhd = chunk.indexOf('tfhd');
    const ofTfhd = chunk.readUInt32BE(tfhd + 4) & 0xffffff;
    if (!(ofTfhd & 0x20)) return true;
    at = tfhd + 12 + after(ofTfhd, [0x1, 0x1, 0x2, 0x8, 0x10]);
  } else if (!(ofTrun & 0x4)) at += after(ofTrun, [0x100, 0x200]);
  return (chunk.readUInt32BE(at) & NON_SYNC_SAMPLE) === 0;
}

function codecOf(init, kind) {
  if (kind === 'audio')
    return { codec: 'mp4a.40.2', mime: 'audio/mp4; codecs="mp4a.40.2"', sample_rate: 48000, channels: 2 };
  const entry = Math.max(init.indexOf('avc1'), init.indexOf('av01'));
  const codec = init.indexOf('av1C') > 0 ? av1Codec(init) : avcCodec(init);
  return {
    codec,
    mime: `video/mp4; codecs="${codec}"`,
    width: init.readUInt16BE(entry + 28),
    height: init.readUInt16BE(entry + 30),
  };
}

function avcCodec(init) {
  const avcc = init.indexOf('avcC') + 4;
  return `avc1.${init.toString('hex', avcc + 1, avcc + 4)}`;
}

/** "Codecs parameter string" of the AV1 binding to ISO media, of 8 bits a sample. */
function av1Codec(init) {
  const profileAndLevel = init[init.indexOf('av1C') + 5];
  const level = String(profileAndLevel & 0x1f).padStart(2, '0');
  return `av01.${profileAndLevel >> 5}.${level}M.08`;
}

/** The chunk at another place of the timeline, with the wall clock in front. */
export function stamp(sample, track, dts, wallMs) {
  const bytes = Buffer.from(sample.bytes);
  bytes.writeBigUInt64BE(BigInt(dts), bytes.indexOf('tfdt') + 8);
  const prft = Buffer.alloc(32);
  prft.writeUInt32BE(32, 0);
  prft.write('prft', 4, 'latin1');
  prft[8] = 1;
  prft.writeUInt32BE(track.id, 12);
  const seconds = Math.floor(wallMs / 1000);
  prft.writeUInt32BE(seconds + NTP_TO_UNIX_S, 16);
  prft.writeUInt32BE(Math.floor(((wallMs - seconds * 1000) / 1000) * 2 ** 32), 20);
  prft.writeBigUInt64BE(BigInt(dts), 24);
  return Buffer.concat([prft, bytes]);
}
