import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineState, StreamState } from '../src';
import { type Situation, tokenFault, wordsFor } from '../src/ui/words';

function words(state: EngineState, stream: StreamState | undefined, more: Partial<Situation> = {}) {
  return wordsFor({
    state,
    stream,
    error: undefined,
    sawPicture: false,
    token: 'a.b.c',
    nowS: 1000,
    ...more,
  });
}

test('every state has words, and the picture is covered only when there is something to say', () => {
  assert.deepEqual(words('playing', 'live'), { tone: 'live', label: 'Live' });
  assert.equal(words('buffering', 'live').title, undefined);
  assert.equal(words('waiting', 'waiting').title, 'The stream has not started yet');
  assert.equal(words('waiting', 'interrupted').title, 'The broadcast was interrupted');
  assert.equal(words('ended', 'ended').title, 'The stream has ended');
});

test('errors say what to do', () => {
  const refused = words('failed', undefined, { error: { code: 'token', fatal: true, message: 'x' } });
  assert.equal(refused.tone, 'bad');
  assert.match(refused.help ?? '', /Ask whoever sent it for a new one/);
  const retry = words('reconnecting', 'live', {
    error: { code: 'overloaded', fatal: false, message: 'x' },
  });
  assert.equal(retry.title, 'Connecting again');
});

test('who saw a picture is not told that the stream has not started', () => {
  const title = (sawPicture: boolean) => words('waiting', 'waiting', { sawPicture }).title;
  assert.equal(title(false), 'The stream has not started yet');
  assert.equal(title(true), 'The broadcast was interrupted');
});

test('a refused token is told apart from none and from one that ended', () => {
  const token = (exp: number) => `e30.${btoa(JSON.stringify({ exp })).replace(/=+$/, '')}.x`;
  assert.equal(tokenFault(undefined, 1000), 'no_token');
  assert.equal(tokenFault(token(999), 1000), 'token_expired');
  assert.equal(tokenFault(token(1001), 1000), 'token');
  assert.equal(tokenFault('not a token', 1000), 'token');
  const title = (more: Partial<Situation>) =>
    words('failed', undefined, { error: { code: 'token', fatal: true, message: 'x' }, ...more }).title;
  const titles = [{ token: undefined }, { token: token(999) }, { token: 'bad' }].map(title);
  assert.equal(new Set(titles).size, 3);
});
