/** Sound by WebCodecs and Web Audio; its clock leads the picture while it is heard. */

import type { Chunk } from '../boxes';
import type { Track } from '../protocol';
import { Pace } from './pace';
import { decoderDescription, samplesOf } from './samples';

const QUEUE_MAX = 64; // AAC frames that a decoder may hold: more than a second

export class Sound {
  readonly #context: AudioContext;
  readonly #gain: GainNode;
  readonly #pace: Pace;
  readonly #onError: (detail: string) => void;
  #decoder: AudioDecoder | undefined;
  #nodes = new Set<AudioBufferSourceNode>();

  constructor(targetS: number, onError: (detail: string) => void) {
    this.#context = new AudioContext({ latencyHint: 'interactive' });
    this.#gain = this.#context.createGain();
    this.#gain.connect(this.#context.destination);
    this.#pace = new Pace(targetS);
    this.#onError = onError;
  }

  static async canPlay(track: Track): Promise<boolean> {
    if (typeof AudioDecoder === 'undefined') return false;
    return (await AudioDecoder.isConfigSupported(configOf(track))).supported === true;
  }

  get isRunning(): boolean {
    return this.#context.state === 'running';
  }

  get stalls(): number {
    return this.#pace.stalls;
  }

  get targetS(): number {
    return this.#pace.targetS;
  }

  set targetS(targetS: number) {
    this.#pace.targetS = targetS;
  }

  resume(): Promise<void> {
    return this.#context.resume();
  }

  set volume(volume: number) {
    this.#gain.gain.value = volume;
  }

  configure(track: Track): void {
    this.#decoder?.close();
    this.#decoder = new AudioDecoder({
      output: (data) => this.#play(data),
      error: (error) => this.#onError(`sound: ${error.message}`),
    });
    this.#decoder.configure(configOf(track));
    this.flush();
  }

  handleChunk(
    bytes: Uint8Array,
    { presentTicks, durationTicks, samples: count }: Chunk,
    timescale: number,
  ): void {
    const decoder = this.#decoder;
    if (decoder?.state !== 'configured' || decoder.decodeQueueSize > QUEUE_MAX) return;
    const stepUs = (durationTicks / count / timescale) * 1e6;
    for (const [at, data] of samplesOf(bytes).entries()) {
      const timestamp = Math.round((presentTicks / timescale) * 1e6 + at * stepUs);
      decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp, duration: Math.round(stepUs), data }));
    }
  }

  /** The media time that is heard now. */
  get mediaS(): number | undefined {
    const { currentTime, outputLatency } = this.#context;
    return this.#pace.mediaAt(currentTime - (outputLatency || 0));
  }

  /** Forgets what waits. */
  flush(): void {
    for (const node of this.#nodes) node.stop();
    this.#nodes.clear();
    this.#pace.reset();
  }

  close(): void {
    this.flush();
    if (this.#decoder?.state !== 'closed') this.#decoder?.close();
    void this.#context.close();
  }

  #play(data: AudioData): void {
    const atS = this.#pace.place(data.timestamp / 1e6, this.#context.currentTime);
    if (atS !== undefined) this.#schedule(data, atS);
    data.close();
  }

  #schedule(data: AudioData, atS: number): void {
    const { numberOfChannels, numberOfFrames, sampleRate } = data;
    const buffer = this.#context.createBuffer(numberOfChannels, numberOfFrames, sampleRate);
    for (let channel = 0; channel < numberOfChannels; channel++) {
      data.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: 'f32-planar' });
    }
    const node = new AudioBufferSourceNode(this.#context, { buffer });
    node.connect(this.#gain);
    this.#nodes.add(node);
    node.onended = () => this.#nodes.delete(node);
    node.start(atS);
  }
}

function configOf(track: Track): AudioDecoderConfig {
  const description = decoderDescription(track.init);
  const { codec, sampleRate = 48_000, channels = 2 } = track;
  const config = { codec: codec === 'fLaC' ? 'flac' : codec, sampleRate, numberOfChannels: channels };
  return description ? { ...config, description } : config;
}
