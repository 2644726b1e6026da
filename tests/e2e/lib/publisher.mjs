// ffmpeg as a publisher of numbered frames, noting when each one went into the encoder.

import { clipInput, clipOutput } from './clip.mjs';
import { Child } from './processes.mjs';

const FRAME_LINE = /\bn:\s*(\d+)\s+pts:/;
const NOISE = /showinfo|libx264|^frame=|^\s|^(Input|Output|Stream mapping)/;

/** Returns the child; `sentFrames` maps frame numbers to wall clock in ms. */
export function publish(rtmpUrl, { sentFrames, ...options }) {
  const first = Number(options.first ?? 0);
  const args = [...clipInput({ ...options, realtime: 'yes', showinfo: 'yes' }), ...clipOutput(rtmpUrl)];
  return new Child('ffmpeg', 'ffmpeg', ['-nostats', ...args], {
    onLine: (line) => {
      const frame = FRAME_LINE.exec(line);
      if (frame) sentFrames.set(first + Number(frame[1]), Date.now());
      return NOISE.test(line);
    },
  });
}
