// A numbered test clip made by ffmpeg: arguments for a file, a pipe or a publisher.

import { cellFilters } from './cells.mjs';

export const CLIP_DEFAULTS = {
  size: '640x360',
  fps: 30,
  duration: 0, // seconds, 0: without end
  gop: 2, // seconds
  bframes: 0,
  audio: 'yes',
  bitrate: '1200k',
  codec: 'h264', // or av1, for files
  first: 0, // number of the first frame
  beep: 'no', // a tone and a white lower half, both in the first tenth of each second
  mute: '', // "3-5": no sound is sent in these seconds; for files, as ffmpeg's picture waits for sound
  realtime: 'no',
  showinfo: 'no', // one line per frame on standard error, as it goes to the encoder
};

/** Input, filters and encoder; the caller adds the output. */
export function clipInput(options = {}) {
  const { size, fps, duration, gop, bframes, audio, bitrate, codec, first, beep, mute, realtime, showinfo } = {
    ...CLIP_DEFAULTS,
    ...options,
  };
  const [width] = size.split('x').map(Number);
  const limit = Number(duration) > 0 ? ['-t', String(duration)] : [];
  const pace = realtime === 'yes' ? ['-re'] : [];
  const source = (graph) => [...pace, ...limit, '-f', 'lavfi', '-i', graph];
  const half = 'drawbox=x=0:y=ih/2:w=iw:h=ih/2:t=fill';
  const flash = beep === 'yes' ? [`${half}:color=black`, `${half}:color=white:enable='lt(mod(t,1),0.1)'`] : [];
  const tone =
    beep === 'yes'
      ? "aevalsrc='0.5*sin(6283*t)*lt(mod(t,1),0.1)':s=48000"
      : 'sine=frequency=330:beep_factor=3:sample_rate=48000';
  const [from, to] = mute.split('-');
  const silence = mute ? ['-af', `aselect='not(between(t,${from},${to}))'`] : [];
  const filters = [...cellFilters(width, Number(first)), ...flash, 'format=yuv420p'];
  if (showinfo === 'yes') filters.push('showinfo=checksum=0');
  const frames = Math.round(Number(gop) * Number(fps));
  const frameOrder = Number(bframes) > 0 ? ['-bf', String(bframes)] : ['-tune', 'zerolatency', '-bf', '0'];
  const profile = Number(bframes) > 0 ? 'main' : 'baseline';
  const rate = ['-b:v', bitrate, '-maxrate', bitrate, '-bufsize', bitrate];
  const encoder =
    codec === 'av1'
      ? ['libsvtav1', '-preset', '12', '-b:v', bitrate]
      : ['libx264', '-preset', 'ultrafast', '-profile:v', profile, '-sc_threshold', '0', ...rate, ...frameOrder];
  return [
    ...['-hide_banner', '-nostdin', '-loglevel', showinfo === 'yes' ? 'info' : 'warning'],
    ...source(`testsrc2=size=${size}:rate=${fps}`),
    ...(audio === 'yes' ? source(tone) : []),
    ...['-vf', filters.join(',')],
    ...['-c:v', ...encoder, '-g', String(frames), '-keyint_min', String(frames)],
    ...(audio === 'yes' ? [...silence, '-c:a', 'aac', '-b:a', '96k', '-ac', '2'] : []),
  ];
}

export function clipOutput(target) {
  if (/^rtmps?:/.test(target)) return ['-f', 'flv', '-flvflags', 'no_duration_filesize', target];
  return ['-y', target];
}
