import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeViewerMessage, ProtocolError, parseServerMessage } from '../src/protocol';

const VIDEO = {
  id: 1,
  kind: 'video',
  codec: 'avc1.64001f',
  mime: 'video/mp4; codecs="avc1.64001f"',
  timescale: 90000,
  width: 1280,
  height: 720,
  fps: 30,
  init: btoa('\x00\x01init'),
};

const parse = (message: object) => parseServerMessage(JSON.stringify(message));

test('every documented message is understood', () => {
  const hello = { session: 'vs_1', stream: 'abc', state: 'live', server_time_us: 1.7e15, target_ms: 150 };
  assert.deepEqual(parse({ type: 'hello', ...hello }), {
    type: 'hello',
    session: 'vs_1',
    stream: 'abc',
    state: 'live',
    serverTimeUs: 1.7e15,
    targetMs: 150,
    node: undefined,
  });
  const named = parse({ type: 'hello', ...hello, node: 'n1' });
  assert.equal(named.type === 'hello' && named.node, 'n1');
  assert.deepEqual(parse({ type: 'live', edge_us: 5 }), { type: 'live', edgeUs: 5 });
  const gap = { track: 1, from_us: 1, to_us: 2, frames: 3, reason: 'slow' };
  assert.deepEqual(parse({ type: 'gap', ...gap }), {
    type: 'gap',
    track: 1,
    fromUs: 1,
    toUs: 2,
    frames: 3,
    reason: 'slow',
  });
  assert.deepEqual(parse({ type: 'state', state: 'interrupted' }), { type: 'state', state: 'interrupted' });
  const time = { type: 'time', t0_us: 1, server_time_us: 2 };
  assert.deepEqual(parse(time), { type: 'time', t0Us: 1, serverTimeUs: 2 });
  assert.deepEqual(parse({ type: 'token', expires_in_s: 60 }), { type: 'token', expiresInS: 60 });
  assert.deepEqual(parse({ type: 'bye', code: 4503, reason: 'draining', retry_after_ms: 500 }), {
    type: 'bye',
    code: 4503,
    reason: 'draining',
    retryAfterMs: 500,
  });
  assert.deepEqual(parse({ type: 'bye', code: 4410, reason: 'kicked' }), {
    type: 'bye',
    code: 4410,
    reason: 'kicked',
    retryAfterMs: undefined,
  });
});

test('an init brings its segments decoded', () => {
  const message = parse({ type: 'init', epoch: '7', tracks: [VIDEO] });
  assert.ok(message.type === 'init');
  assert.equal(message.epoch, '7');
  assert.equal(message.tracks[0]?.mime, VIDEO.mime);
  assert.equal(message.tracks[0]?.width, 1280);
  assert.equal(message.tracks[0]?.channels, undefined);
  assert.deepEqual([...(message.tracks[0]?.init ?? [])], [0, 1, 105, 110, 105, 116]);
});

test('a mime without codecs gets the codec', () => {
  const message = parse({ type: 'init', epoch: '1', tracks: [{ ...VIDEO, mime: 'video/mp4' }] });
  assert.ok(message.type === 'init');
  assert.equal(message.tracks[0]?.mime, 'video/mp4; codecs="avc1.64001f"');
});

test('a type of a later version is passed over', () => {
  assert.deepEqual(parse({ type: 'poll', text: 'x' }), { type: 'unknown', name: 'poll' });
});

test('malformed messages are refused with the field and what is wrong', () => {
  const cases: [string, RegExp][] = [
    ['nonsense', /not JSON: nonsense/],
    ['[]', /message: not an object/],
    ['{}', /message.type: nothing is not a string/],
    ['{"type":"state","state":"asleep"}', /state: "asleep" is not waiting, live/],
    ['{"type":"live","edge_us":"5"}', /edge_us: "5" is not a number/],
    ['{"type":"init","epoch":"1","tracks":[]}', /0 tracks/],
    ['{"type":"init","epoch":"1","tracks":[7]}', /init.tracks\[0\]: not an object/],
    [JSON.stringify({ type: 'init', epoch: '1', tracks: [VIDEO, VIDEO] }), /two tracks with one id/],
    [
      JSON.stringify({ type: 'init', epoch: '1', tracks: [{ ...VIDEO, init: '*' }] }),
      /init: "\*" is not base64/,
    ],
    [JSON.stringify({ type: 'init', epoch: '1', tracks: [{ ...VIDEO, kind: 'text' }] }), /kind: "text"/],
    [JSON.stringify({ type: 'init', epoch: '1', tracks: [{ ...VIDEO, timescale: 0 }] }), /timescale: 0/],
  ];
  for (const [text, wanted] of cases) {
    assert.throws(
      () => parseServerMessage(text),
      (error) => error instanceof ProtocolError && wanted.test(error.message),
      text,
    );
  }
});

test('viewer messages are JSON with the documented names', () => {
  assert.equal(encodeViewerMessage({ type: 'time', t0_us: 5 }), '{"type":"time","t0_us":5}');
  const tracks = encodeViewerMessage({ type: 'tracks', video: false, audio: true });
  assert.equal(tracks, '{"type":"tracks","video":false,"audio":true}');
});
