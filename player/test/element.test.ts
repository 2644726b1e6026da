import assert from 'node:assert/strict';
import { test } from 'node:test';
import { embedSettings, parseFrameCommand } from '../pages/frame-api';
import { ATTENTIVE, type AttentionInput, attentionStep } from '../src/attention';
import { parseSource } from '../src/element/source';
import { graphTop } from '../src/ui/stats-panel';

test('a source may be a socket, a link or a page', () => {
  const wanted = { url: 'wss://host:8443/live/pb_1', playbackId: 'pb_1', token: undefined };
  for (const src of [
    'wss://host:8443/live/pb_1',
    'https://host:8443/live/pb_1',
    'https://host:8443/live/pb_1.mp4',
    'https://host:8443/watch/pb_1',
    'https://host:8443/embed/pb_1?autoplay=1',
  ]) {
    assert.deepEqual(parseSource(src, 'https://page/'), wanted, src);
  }
  const page = parseSource('/watch/pb_2#token=a.b.c', 'http://localhost:8080/x');
  assert.deepEqual(page, { url: 'ws://localhost:8080/live/pb_2', playbackId: 'pb_2', token: 'a.b.c' });
  const below = parseSource('https://host/video/live/pb_1', 'https://page/');
  assert.equal(below?.url, 'wss://host/video/live/pb_1');
});

test('anything else is no source', () => {
  for (const src of [
    '',
    'pb_1',
    'https://host/',
    'ftp://host/live/x',
    'https://host/live/',
    'https://[/live/x',
  ]) {
    assert.equal(parseSource(src, 'https://page/'), undefined, src);
  }
});

test('the frame’s settings come from its query', () => {
  assert.deepEqual(embedSettings(''), { autoplay: false, muted: false, controls: true, targetMs: undefined });
  assert.deepEqual(embedSettings('?autoplay=1'), {
    autoplay: true,
    muted: true,
    controls: true,
    targetMs: undefined,
  });
  const all = embedSettings('?autoplay&muted=0&controls=false&target=300');
  assert.deepEqual(all, { autoplay: true, muted: false, controls: false, targetMs: 300 });
  for (const target of ['-1', 'x', '1e9', ''])
    assert.equal(embedSettings(`?target=${target}`).targetMs, undefined);
});

test('messages to the frame are read at the edge', () => {
  assert.deepEqual(parseFrameCommand({ type: 'weir:play' }), { type: 'weir:play' });
  assert.deepEqual(parseFrameCommand({ type: 'weir:mute' }), { type: 'weir:mute', muted: true });
  assert.deepEqual(parseFrameCommand({ type: 'weir:volume', volume: 0.5 }), {
    type: 'weir:volume',
    volume: 0.5,
  });
  assert.deepEqual(parseFrameCommand({ type: 'weir:target', targetMs: 200 }), {
    type: 'weir:target',
    targetMs: 200,
  });
  for (const other of [
    undefined,
    'weir:play',
    null,
    {},
    { type: 'play' },
    { type: 'weir:volume', volume: 2 },
    { type: 'weir:token', token: '' },
  ]) {
    assert.equal(parseFrameCommand(other), undefined, JSON.stringify(other));
  }
});

const SEEN: AttentionInput = { nowMs: 0, hidden: false, inView: true, audible: false, inPicture: false };

function unseenFor(ms: number, more: Partial<AttentionInput>, awayMs?: number) {
  const input = { ...SEEN, hidden: true, ...more };
  return attentionStep(attentionStep(ATTENTIVE, input), { ...input, nowMs: ms }, awayMs).level;
}

test('who is neither seen nor heard is paused, then given up', () => {
  assert.deepEqual(
    [9_999, 10_000, 59_999, 60_000].map((ms) => unseenFor(ms, {})),
    ['here', 'away', 'away', 'gone'],
  );
  assert.equal(unseenFor(60_000, { hidden: false, inView: false }), 'gone');
});

test('a page may choose how long, or for ever', () => {
  assert.deepEqual(
    [499, 500, 2_999, 3_000].map((ms) => unseenFor(ms, {}, 500)),
    ['here', 'away', 'away', 'gone'],
  );
  assert.equal(unseenFor(1e9, {}, Number.POSITIVE_INFINITY), 'here');
});

test('sound, a picture in picture, and coming back keep it going', () => {
  assert.equal(unseenFor(90_000, { audible: true }), 'here');
  assert.equal(unseenFor(90_000, { inPicture: true }), 'here');
  const away = attentionStep({ level: 'away', sinceMs: 0 }, { ...SEEN, nowMs: 20_000 });
  assert.deepEqual(away, ATTENTIVE);
});

test('the graph’s top is a round number above all values', () => {
  assert.deepEqual(
    [[], [99], [101], [480], [9_000], [50_000]].map(graphTop),
    [100, 100, 200, 500, 10_000, 60_000],
  );
});
