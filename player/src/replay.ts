/** The chunks since the newest keyframe, so that a new MediaSource can start without waiting for the next one. */

import type { TrackKind } from './protocol';

const MAX_BYTES = 16 * 1024 * 1024; // 10 s of GOP at 12 Mbit/s
const AUDIO_ONLY_CHUNKS = 32; // 0.7 s of AAC

export interface ReplayChunk {
  kind: TrackKind;
  bytes: Uint8Array<ArrayBuffer>;
}

export class Replay {
  #chunks: ReplayChunk[] = [];
  #bytes = 0;
  #hasVideo = false;

  handleChunk(kind: TrackKind, bytes: Uint8Array<ArrayBuffer>, keyframe: boolean): void {
    if (kind === 'video' && keyframe) {
      this.clear();
      this.#hasVideo = true;
    }
    if (this.#bytes + bytes.byteLength > MAX_BYTES) this.clear();
    if (kind === 'video' && !this.#hasVideo) return;
    this.#chunks.push({ kind, bytes });
    this.#bytes += bytes.byteLength;
    if (!this.#hasVideo && this.#chunks.length > AUDIO_ONLY_CHUNKS) {
      this.#bytes -= this.#chunks.shift()?.bytes.byteLength ?? 0;
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
    this.#hasVideo = false;
  }

  get chunks(): readonly ReplayChunk[] {
    return this.#chunks;
  }
}
