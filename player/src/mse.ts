/** A MediaSource with one SourceBuffer per track; appends all that waits in one call. Runs in a page or in a worker. */

import type { Track, TrackKind } from './protocol';

const MAX_QUEUED_BYTES = 64 * 1024 * 1024; // a browser that takes nothing any more

export type Bytes = Uint8Array<ArrayBuffer>;

/** What a video element is given: an object URL, or from a worker the handle of its source. */
export type Attachment = string | MediaSourceHandle;

export interface SinkEvents {
  /** The browser refused the media; only a new sink helps. */
  onError(detail: string): void;
  /** The browser's buffer is full: answers up to where media may go. */
  onQuota(): number | undefined;
}

/** Apple's MediaSource, which says when it wants data. */
interface ManagedMediaSource extends MediaSource {
  readonly streaming: boolean;
}

declare global {
  interface MediaSource {
    readonly handle: MediaSourceHandle;
  }
  var ManagedMediaSource: { new (): ManagedMediaSource; isTypeSupported(mime: string): boolean } | undefined;
}

interface SourceClass {
  new (): MediaSource;
  isTypeSupported(mime: string): boolean;
}

/** There is one where `hasMediaSource` says so. */
function sourceClass(): SourceClass {
  return globalThis.MediaSource ?? (globalThis.ManagedMediaSource as SourceClass);
}

export function hasMediaSource(): boolean {
  return sourceClass() !== undefined;
}

export function canPlay(track: Track): boolean {
  return sourceClass().isTypeSupported(track.mime);
}

/** True where the worker can make the source itself, so that a busy page does not hold the picture up. */
export function worksInWorker(): boolean {
  return globalThis.MediaSource?.canConstructInDedicatedWorker === true;
}

export class MediaSink {
  readonly attachment: Attachment;
  readonly #events: SinkEvents;
  readonly #source: MediaSource;
  readonly #buffers = new Map<TrackKind, TrackBuffer>();
  #closed = false;

  constructor(tracks: readonly Track[], events: SinkEvents) {
    this.#events = events;
    this.#source = new (sourceClass())();
    const onError = (detail: string) => this.handleError(detail);
    const owner = { source: this.#source, onQuota: events.onQuota, onError };
    for (const track of tracks) this.#buffers.set(track.kind, new TrackBuffer(owner, track));
    this.#source.onsourceopen = () => this.#open();
    this.#source.addEventListener('startstreaming', () => this.#pump());
    const inPage = typeof document === 'object';
    this.attachment = inPage ? URL.createObjectURL(this.#source) : this.#source.handle;
  }

  get kinds(): TrackKind[] {
    return [...this.#buffers.keys()];
  }

  /** New init segments for the tracks there are. */
  reconfigure(tracks: readonly Track[]): void {
    for (const track of tracks) this.#buffers.get(track.kind)?.init(track);
  }

  append(kind: TrackKind, bytes: Bytes): void {
    this.#buffers.get(kind)?.append(bytes);
  }

  /** True when all that came has been handed to the browser and taken. */
  get idle(): boolean {
    return [...this.#buffers.values()].every((buffer) => buffer.idle);
  }

  /** Removes what lies before a time, which must be that of a keyframe: browsers remove up to the next one. */
  trim(beforeS: number): void {
    for (const buffer of this.#buffers.values()) buffer.trim(beforeS);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.onsourceopen = null;
    for (const buffer of this.#buffers.values()) buffer.close();
    if (typeof this.attachment === 'string') URL.revokeObjectURL(this.attachment);
  }

  /** The browser refused something, or the element that the source is attached to tells so. */
  handleError(detail: string): void {
    if (this.#closed) return;
    this.close();
    this.#events.onError(detail);
  }

  #open(): void {
    try {
      for (const buffer of this.#buffers.values()) buffer.open();
    } catch (error) {
      this.handleError(`no buffer: ${error}`);
    }
  }

  #pump(): void {
    for (const buffer of this.#buffers.values()) buffer.pump();
  }
}

interface BufferOwner {
  source: MediaSource;
  onQuota(): number | undefined;
  onError(detail: string): void;
}

/** What waits for the SourceBuffer: media, or an init segment with the mime to change to. */
interface Queued {
  bytes: Bytes;
  mime?: string | undefined;
}

class TrackBuffer {
  readonly #owner: BufferOwner;
  #mime: string;
  #buffer: SourceBuffer | undefined;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #trimS: number | undefined;
  #fullTimes = 0;
  #closed = false;

  constructor(owner: BufferOwner, track: Track) {
    this.#owner = owner;
    this.#mime = track.mime;
    this.#push({ bytes: track.init });
  }

  open(): void {
    this.#buffer = this.#owner.source.addSourceBuffer(this.#mime);
    this.#buffer.mode = 'segments';
    this.#buffer.onupdateend = () => this.pump();
    this.#buffer.onerror = () => this.#owner.onError('the browser refused an append');
    this.pump();
  }

  init(track: Track): void {
    const mime = track.mime === this.#mime ? undefined : track.mime;
    this.#mime = track.mime;
    this.#push({ bytes: track.init, mime });
  }

  append(bytes: Bytes): void {
    this.#push({ bytes });
  }

  #push(item: Queued): void {
    this.#queuedBytes += item.bytes.byteLength;
    this.#queue.push(item);
    if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.pump();
    else this.#owner.onError(`${this.#queuedBytes} bytes wait for the browser`);
  }

  get idle(): boolean {
    return this.#queue.length === 0 && !this.#buffer?.updating;
  }

  trim(beforeS: number): void {
    const { buffered } = this.#buffer ?? {};
    if (!buffered?.length || buffered.start(0) >= beforeS) return;
    this.#trimS = beforeS;
    this.pump();
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
  }

  pump(): void {
    const buffer = this.#buffer;
    if (this.#closed || !buffer || buffer.updating) return;
    try {
      if (this.#trimS !== undefined) {
        const end = this.#trimS;
        this.#trimS = undefined;
        buffer.remove(0, end);
      } else if (this.#queue.length > 0 && wantsData(this.#owner.source)) {
        this.#appendNext(buffer);
      }
    } catch (error) {
      this.#owner.onError(`append: ${error}`);
    }
  }

  #appendNext(buffer: SourceBuffer): void {
    const [first] = this.#queue;
    if (first?.mime) {
      buffer.changeType(first.mime);
      first.mime = undefined;
    }
    const next = this.#queue.findIndex((item) => item.mime !== undefined);
    const count = next === -1 ? this.#queue.length : next;
    const bytes = concat(this.#queue.slice(0, count));
    try {
      buffer.appendBuffer(bytes);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
      this.#handleFull();
      return;
    }
    this.#fullTimes = 0;
    this.#queue.splice(0, count);
    this.#queuedBytes -= bytes.byteLength;
  }

  #handleFull(): void {
    this.#fullTimes += 1;
    const beforeS = this.#fullTimes === 1 ? this.#owner.onQuota() : undefined;
    if (beforeS === undefined) this.#owner.onError('the buffer is full');
    else this.#trimS = beforeS;
    queueMicrotask(() => this.pump());
  }
}

function wantsData(source: MediaSource): boolean {
  return !('streaming' in source) || source.streaming === true;
}

function concat(items: Queued[]): Bytes {
  const [only] = items;
  if (only && items.length === 1) return only.bytes;
  const all = new Uint8Array(items.reduce((sum, item) => sum + item.bytes.byteLength, 0));
  let at = 0;
  for (const { bytes } of items) {
    all.set(bytes, at);
    at += bytes.byteLength;
  }
  return all;
}
