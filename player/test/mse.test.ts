import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { MediaSink } from '../src/mse';
import { Playout } from '../src/playout';
import type { View } from '../src/view';
import { type FakeBuffer, type FakeSource, frameChunk, useFakeSource, videoTrack } from './media';

let newest: () => FakeSource;
beforeEach(() => {
  newest = useFakeSource();
});

function openSink(onQuota: () => number | undefined = () => undefined) {
  const errors: string[] = [];
  const track = videoTrack();
  const sink = new MediaSink([track], { onError: (detail) => errors.push(detail), onQuota });
  newest().onsourceopen?.();
  const [buffer] = newest().buffers as [FakeBuffer];
  buffer.finish();
  buffer.done = [];
  return { sink, buffer, errors, track };
}

const BYTES = new Uint8Array(10);

test('what waits is appended in one call', () => {
  const { sink, buffer } = openSink();
  sink.append('video', BYTES);
  sink.append('video', BYTES);
  sink.append('video', BYTES);
  assert.equal(sink.idle, false);
  buffer.finish();
  buffer.finish();
  assert.deepEqual(buffer.done, ['append 10', 'append 20']);
  assert.equal(sink.idle, true);
});

test('another codec changes the type between what came before and after', () => {
  const { sink, buffer } = openSink();
  buffer.updating = true;
  sink.append('video', BYTES);
  const next = videoTrack('av01.0.04M.08');
  sink.reconfigure([next]);
  sink.append('video', BYTES);
  buffer.finish();
  buffer.finish();
  assert.deepEqual(buffer.done, ['append 10', `type ${next.mime}`, `append ${next.init.length + 10}`]);
});

test('a full buffer is emptied up to a keyframe, and takes what waited', async () => {
  const { sink, buffer, errors } = openSink(() => 12);
  buffer.isFull = true;
  sink.append('video', BYTES);
  await Promise.resolve();
  assert.deepEqual(buffer.done, ['remove 12']);
  buffer.isFull = false;
  buffer.finish();
  assert.deepEqual(buffer.done, ['remove 12', 'append 10']);
  assert.deepEqual(errors, []);
});

test('a buffer that stays full, or has nothing to give up, is an error', async () => {
  const stays = openSink(() => 12);
  stays.buffer.isFull = true;
  stays.sink.append('video', BYTES);
  await Promise.resolve();
  stays.buffer.finish();
  assert.deepEqual(stays.errors, ['the buffer is full']);
  const none = openSink(() => undefined);
  none.buffer.isFull = true;
  none.sink.append('video', BYTES);
  assert.deepEqual(none.errors, ['the buffer is full']);
});

test('a browser that takes nothing any more is given up before it has all memory', () => {
  const { sink, buffer, errors } = openSink();
  buffer.updating = true;
  const large = new Uint8Array(16 * 1024 * 1024);
  for (let n = 0; n < 5; n++) sink.append('video', large);
  assert.match(errors.join(), /^\d+ bytes wait for the browser$/);
});

test('a closed sink does nothing more', () => {
  const { sink, buffer, errors } = openSink();
  sink.append('video', BYTES);
  sink.append('video', BYTES);
  sink.close();
  buffer.finish();
  buffer.onerror?.();
  assert.deepEqual([buffer.done, errors], [['append 10'], []]);
});

const START_MS = 1000;

/** A playout that has its first source, and a clock that a test moves. */
function playing() {
  let nowMs = START_MS;
  mock.method(performance, 'now', () => nowMs);
  const told: string[] = [];
  const playout = new Playout(() => 0, {
    onUnsupported: (tracks) => told.push(`unsupported ${tracks.map(({ codec }) => codec)}`),
    onFailed: (detail) => told.push(`failed ${detail}`),
    onAttach: (source) => told.push(`source ${source}`),
    onSeek: (to, reason) => told.push(`${reason} ${to}`),
    onRate: () => undefined,
  });
  playout.handleInit([videoTrack()]);
  const at = (ms: number) => {
    nowMs = START_MS + ms;
  };
  return { playout, told, at };
}

test('a decoding error is followed by a new source at the next keyframe, three times, 5 s apart', () => {
  const { playout, told, at } = playing();
  const broken = (ms: number) => {
    at(ms);
    playout.handleMediaError('broken');
  };
  const frame = (ms: number, isKey: boolean) => {
    at(ms);
    playout.handleChunk(frameChunk(ms, isKey));
  };
  broken(100);
  frame(133, false);
  assert.deepEqual(told, ['source 1']);
  frame(166, true);
  assert.deepEqual(told, ['source 1', 'source 2']);
  broken(200);
  frame(1166, true);
  assert.deepEqual(told, ['source 1', 'source 2'], 'too soon');
  frame(5166, true);
  broken(5200);
  frame(10_166, true);
  assert.deepEqual(told, ['source 1', 'source 2', 'source 3', 'source 4']);
  broken(10_200);
  assert.deepEqual(told.at(-1), 'failed broken');
  assert.equal(playout.report(10_200).rebuilds, 3);
});

test('errors long ago are forgotten', () => {
  const { playout, told, at } = playing();
  for (let n = 0; n < 6; n++) {
    at(n * 70_000);
    playout.handleMediaError('broken');
    at(n * 70_000 + 5100);
    playout.handleChunk(frameChunk(n * 70_000 + 5100, true));
  }
  assert.equal(told.at(-1), 'source 7');
});

test('a track that the browser can’t decode is left out and told', () => {
  const { playout, told } = playing();
  playout.handleInit([videoTrack('xvid')]);
  assert.deepEqual(told, ['source 1', 'unsupported xvid']);
  assert.deepEqual(playout.tracks, []);
});

test('more than 8 s behind the picture are removed, up to a keyframe', () => {
  const { playout, at } = playing();
  newest().onsourceopen?.();
  const [buffer] = newest().buffers as [FakeBuffer];
  for (let ms = 0; ms <= 12_000; ms += 500) {
    at(ms);
    playout.handleChunk(frameChunk(ms, ms % 2000 === 0, 500));
    buffer.finish();
  }
  buffer.finish();
  buffer.end = 12.5;
  buffer.done = [];
  const view: View = {
    nowMs: performance.timeOrigin + START_MS + 12_100,
    source: 1,
    currentTime: 12.1,
    ranges: [{ start: 0, end: 12.5 }],
    rate: 1,
    paused: false,
    readyState: 4,
    frameAtMs: undefined,
    newFrames: [],
    framesShown: 0,
    framesDropped: 0,
    firstFrameMs: 10,
  };
  playout.tick(view);
  assert.deepEqual(buffer.done, ['remove 9.999']); // the keyframe at 10 s, not the picture's own
});
