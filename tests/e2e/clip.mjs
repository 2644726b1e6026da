#!/usr/bin/env node
// Makes a clip with numbered frames, as a file or in real time to an RTMP address:
//   node clip.mjs --size 1280x720 --fps 30 --duration 20 --bframes 2 --audio no out.mp4
//   node clip.mjs --realtime yes rtmp://127.0.0.1:1935/live/sk_...

import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { CLIP_DEFAULTS, clipInput, clipOutput } from './lib/clip.mjs';

const options = Object.fromEntries(Object.keys(CLIP_DEFAULTS).map((name) => [name, { type: 'string' }]));
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const [target] = positionals;
if (!target || positionals.length > 1) {
  const list = Object.entries(CLIP_DEFAULTS).map(([name, value]) => `  --${name} (default ${value})`);
  console.error(`usage: clip.mjs [options] FILE or rtmp://...\n${list.join('\n')}`);
  process.exit(2);
}
if (/^rtmp/.test(target)) values.realtime ??= 'yes';

const ffmpeg = spawn('ffmpeg', [...clipInput(values), ...clipOutput(target)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ffmpeg.kill(signal));
ffmpeg.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
