/** Boxes, chunks and a MediaSource for tests. */

import type { Track } from '../src/protocol';

export const u32 = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
export const u64 = (value: number) => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];

export function box(type: string, ...body: number[]): number[] {
  return [...u32(body.length + 8), ...[...type].map((char) => char.charCodeAt(0)), ...body];
}

export const SYNC = 0x0200_0000;
export const NON_SYNC = 0x0101_0000;

/** One frame of track 1, 90 kHz, `ms` long. */
export function frameChunk(atMs: number, isKey: boolean, ms = 33): Uint8Array<ArrayBuffer> {
  const tfhd = box('tfhd', ...u32(0x02_0008), ...u32(1), ...u32(ms * 90));
  const tfdt = box('tfdt', ...u32(0x0100_0000), ...u64(atMs * 90));
  const trun = box('trun', ...u32(0x0100_0004), ...u32(1), ...u32(isKey ? SYNC : NON_SYNC));
  return Uint8Array.from([...box('moof', ...box('traf', ...tfhd, ...tfdt, ...trun)), ...box('mdat', 1)]);
}

export function videoTrack(codec = 'avc1.64001f', mark = 0): Track {
  const trex = box('trex', ...u32(0), ...u32(1), ...u32(1), ...u32(0), ...u32(0), ...u32(0));
  return {
    id: 1,
    kind: 'video',
    codec,
    mime: `video/mp4; codecs="${codec}"`,
    timescale: 90_000,
    init: Uint8Array.from([...box('ftyp', mark), ...box('moov', ...box('mvex', ...trex))]),
  };
}

/** Does nothing by itself: a test says when an append is done, and when there is no room. */
export class FakeBuffer {
  updating = false;
  mode = '';
  /** What was done to it: `append 12`, `remove 3`, `type video/mp4...`. */
  done: string[] = [];
  isFull = false;
  end = 0;
  onupdateend: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly mime: string) {}

  get buffered() {
    return { length: this.end > 0 ? 1 : 0, start: () => 0, end: () => this.end };
  }

  appendBuffer(bytes: Uint8Array): void {
    if (this.isFull) throw new DOMException('no room', 'QuotaExceededError');
    this.done.push(`append ${bytes.length}`);
    this.updating = true;
  }

  remove(_: number, end: number): void {
    this.done.push(`remove ${end}`);
    this.updating = true;
  }

  changeType(mime: string): void {
    this.done.push(`type ${mime}`);
  }

  finish(): void {
    this.updating = false;
    this.onupdateend?.();
  }
}

export class FakeSource extends EventTarget {
  static all: FakeSource[] = [];
  readonly handle = {};
  buffers: FakeBuffer[] = [];
  onsourceopen: (() => void) | null = null;

  constructor() {
    super();
    FakeSource.all.push(this);
  }

  static isTypeSupported(mime: string): boolean {
    return !mime.includes('xvid');
  }

  addSourceBuffer(mime: string): FakeBuffer {
    const made = new FakeBuffer(mime);
    this.buffers.push(made);
    return made;
  }
}

/** In place of the browser's; returns the newest source made since. */
export function useFakeSource(): () => FakeSource {
  FakeSource.all = [];
  Object.assign(globalThis, { MediaSource: FakeSource });
  return () => {
    const newest = FakeSource.all.at(-1);
    if (!newest) throw new Error('no source was made');
    return newest;
  };
}
