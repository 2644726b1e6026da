/** Video by WebCodecs: decoded frames wait until they are due, the newest due one is drawn. */

import type { Chunk } from '../boxes';
import type { Track } from '../protocol';
import { decoderDescription, samplesOf } from './samples';

const DECODING_MAX = 30; // frames handed in and not out again: the decoder can't follow
const WAITING_MAX = 30; // decoded frames hold memory of the graphics card

export interface PictureEvents {
  /** Draws it; the frame is closed after the return. */
  onDraw(frame: VideoFrame): void;
  onError(detail: string): void;
}

export class Picture {
  dropped = 0;
  readonly #events: PictureEvents;
  #decoder: VideoDecoder | undefined;
  #config: VideoDecoderConfig | undefined;
  #frames: VideoFrame[] = [];
  #hasKeyframe = false;

  constructor(events: PictureEvents) {
    this.#events = events;
  }

  static async canPlay(track: Track): Promise<boolean> {
    if (typeof VideoDecoder === 'undefined') return false;
    return (await VideoDecoder.isConfigSupported(configOf(track))).supported === true;
  }

  configure(track: Track): void {
    this.#config = configOf(track);
    this.#renew();
  }

  handleChunk(bytes: Uint8Array, { presentTicks, durationTicks, keyframe }: Chunk, timescale: number): void {
    if (this.#decoder?.state !== 'configured') {
      if (!keyframe || !this.#config) return;
      this.#renew();
    }
    const decoder = this.#decoder;
    if (!decoder) return;
    if (decoder.decodeQueueSize > DECODING_MAX && this.#hasKeyframe) {
      this.#hasKeyframe = false; // the rest of this group of pictures would be broken
    }
    if (keyframe) this.#hasKeyframe = true;
    if (!this.#hasKeyframe) {
      this.dropped += 1;
      return;
    }
    const us = (ticks: number) => Math.round((ticks / timescale) * 1e6);
    const [data] = samplesOf(bytes);
    if (!data) return;
    const type = keyframe ? 'key' : 'delta';
    decoder.decode(
      new EncodedVideoChunk({ type, timestamp: us(presentTicks), duration: us(durationTicks), data }),
    );
  }

  /** Draws the newest frame that is due by then; the ones before are left out. */
  show(dueS: number): void {
    const due = this.#frames.filter((frame) => frame.timestamp / 1e6 <= dueS);
    const newest = due.pop();
    this.dropped += due.length;
    for (const frame of due) frame.close();
    if (!newest) return;
    this.#frames = this.#frames.filter((frame) => frame.timestamp / 1e6 > dueS);
    this.#events.onDraw(newest);
    newest.close();
  }

  /** Something is missing: nothing is shown before the next keyframe. */
  reset(): void {
    for (const frame of this.#frames.splice(0)) frame.close();
    this.#hasKeyframe = false;
  }

  close(): void {
    this.reset();
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = undefined;
  }

  #renew(): void {
    this.close();
    if (!this.#config) return;
    const decoder = new VideoDecoder({
      output: (frame) => this.#handleFrame(frame),
      error: (error) => decoder === this.#decoder && this.#events.onError(`picture: ${error.message}`),
    });
    this.#decoder = decoder;
    decoder.configure(this.#config);
  }

  #handleFrame(frame: VideoFrame): void {
    this.#frames.push(frame);
    if (this.#frames.length > WAITING_MAX) {
      this.#frames.shift()?.close();
      this.dropped += 1;
    }
  }
}

function configOf(track: Track): VideoDecoderConfig {
  const description = decoderDescription(track.init);
  const config = { codec: track.codec, optimizeForLatency: true };
  return description ? { ...config, description } : config;
}
