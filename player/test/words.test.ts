import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordsFor } from '../pages/words';

test('every state has words, and the picture is covered only when there is something to say', () => {
  assert.deepEqual(wordsFor('playing', 'live', undefined), { tone: 'live', label: 'Live' });
  assert.equal(wordsFor('buffering', 'live', undefined).title, undefined);
  assert.equal(wordsFor('waiting', 'waiting', undefined).title, 'The stream has not started yet');
  assert.equal(wordsFor('waiting', 'interrupted', undefined).title, 'The broadcast was interrupted');
  assert.equal(wordsFor('ended', 'ended', undefined).title, 'The stream has ended');
});

test('errors say what to do', () => {
  const words = wordsFor('failed', undefined, { code: 'token', fatal: true, message: 'x' });
  assert.equal(words.tone, 'bad');
  assert.match(words.help ?? '', /Ask whoever sent it for a new one/);
  const retry = wordsFor('reconnecting', 'live', { code: 'overloaded', fatal: false, message: 'x' });
  assert.equal(retry.title, 'Connecting again');
});
