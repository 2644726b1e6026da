// An AV1 clip as FLV by Enhanced RTMP v2, which Debian's ffmpeg can't write: its frames come as IVF, the configuration from an MP4.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clipInput } from './clip.mjs';
import { Child } from './processes.mjs';

const KEY = 1;
const INTER = 2;
const SEQUENCE_START = 0;
const CODED_FRAMES = 1;
/** Its path; `options` as of a clip. */
export async function makeAv1Flv(folder, name, options) {
  const at = (extension) => join(folder, `${name}.${extension}`);
  await ffmpeg([...clipInput({ ...options, codec: 'av1', audio: 'no' }), '-y', at('mp4')]);
  await ffmpeg(['-v', 'error', '-y', '-i', at('mp4'), '-c', 'copy', at('ivf')]);
  const config = boxContent(await readFile(at('mp4')), 'av1C');
  const tags = [tag(0, KEY, SEQUENCE_START, config)];
  for (const [number, frame] of ivfFrames(await readFile(at('ivf'))).entries()) {
    tags.push(tag(Math.round((number * 1000) / options.fps), isKey(frame) ? KEY : INTER, CODED_FRAMES, frame));
  }
  const head = Buffer.from([...Buffer.from('FLV'), 1, 1, 0, 0, 0, 9, 0, 0, 0, 0]);
  await writeFile(at('flv'), Buffer.concat([head, ...tags]));
  return at('flv');
}

async function ffmpeg(args) {
  const child = new Child('ffmpeg', 'ffmpeg', args);
  if ((await child.done).code !== 0) throw new Error(`ffmpeg failed\n${child.tail()}`);
}

function boxContent(file, name) {
  const at = file.indexOf(name, 0, 'latin1');
  if (at < 4) throw new Error(`no ${name}`);
  return file.subarray(at + 4, at - 4 + file.readUInt32BE(at - 4));
}

function ivfFrames(file) {
  const frames = [];
  for (let at = file.readUInt16LE(6); at < file.length; at += 12 + file.readUInt32LE(at)) {
    frames.push(withoutDelimiter(file.subarray(at + 12, at + 12 + file.readUInt32LE(at))));
  }
  return frames;
}

/** IVF begins each frame with a temporal delimiter OBU, MP4 and FLV have none. */
function withoutDelimiter(frame) {
  return frame[0] === 0x12 && frame[1] === 0 ? frame.subarray(2) : frame;
}

/** SVT-AV1 repeats the sequence header (OBU type 1, AV1 6.2.2) before each keyframe, and nowhere else. */
function isKey(frame) {
  return ((frame[0] >> 3) & 15) === 1;
}

/** With the size of the tag before the next, FLV 10.1 E.4.1; Enhanced RTMP's ExVideoTagHeader. */
function tag(ms, frameType, packetType, payload) {
  const body = Buffer.concat([Buffer.from([0x80 | (frameType << 4) | packetType]), Buffer.from('av01'), payload]);
  const out = Buffer.alloc(11 + body.length + 4);
  out.writeUInt8(9, 0);
  out.writeUIntBE(body.length, 1, 3);
  out.writeUIntBE(ms & 0xffffff, 4, 3);
  out.writeUInt8(ms >>> 24, 7);
  body.copy(out, 11);
  out.writeUInt32BE(11 + body.length, 11 + body.length);
  return out;
}
