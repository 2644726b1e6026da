import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeClose, judgeStatus, retryDelayMs } from '../src/backoff';
import { ServerClock } from '../src/clock';

test('close codes are obeyed as documented', () => {
  for (const code of [4400, 4403, 4404, 4410]) assert.equal(judgeClose(code).action, 'fatal', `${code}`);
  for (const code of [4408, 4429, 4503, 4504, 1000, 1001, 1006, 1011]) {
    assert.equal(judgeClose(code).action, 'retry', `${code}`);
  }
  assert.equal(judgeClose(4401).action, 'new_token');
});

test('refusals before the upgrade are obeyed as documented', () => {
  for (const status of [403, 404]) assert.equal(judgeStatus(status).action, 'fatal', `${status}`);
  for (const status of [200, 429, 500, 502, 503])
    assert.equal(judgeStatus(status).action, 'retry', `${status}`);
  assert.equal(judgeStatus(401).action, 'new_token');
});

test('waits grow from 250 ms to 15 s, with full jitter', () => {
  const longest = [0, 1, 2, 3, 6, 7, 1000].map((attempt) => retryDelayMs(attempt, 1));
  assert.deepEqual(longest, [250, 500, 1000, 2000, 15000, 15000, 15000]);
  assert.equal(retryDelayMs(3, 0), 0);
  assert.equal(retryDelayMs(3, 0.5), 1000);
});

test('the server’s retry_after_ms is the least', () => {
  assert.equal(retryDelayMs(0, 0, 4000), 4000);
  assert.equal(retryDelayMs(0, 1, 4000), 4250);
  assert.equal(retryDelayMs(0, 0, -5), 0);
});

test('the clock believes the answer with the shortest way', () => {
  const clock = new ServerClock();
  assert.equal(clock.offsetUs, undefined);
  clock.handleHello(5_000_000, 1_000_000);
  assert.equal(clock.offsetUs, 4_000_000);
  clock.handleTime(1_000_000, 5_060_000, 1_120_000);
  assert.equal(clock.offsetUs, 4_000_000);
  clock.handleTime(2_000_000, 6_001_000, 2_004_000);
  assert.equal(clock.offsetUs, 3_999_000);
  clock.handleTime(3_000_000, 7_090_000, 3_100_000);
  assert.equal(clock.offsetUs, 3_999_000);
  assert.equal(clock.rttMs, 4);
});

test('the clock follows drift and refuses answers from before the question', () => {
  const clock = new ServerClock();
  clock.handleTime(0, 1_000, 100);
  for (let n = 1; n <= 8; n++) clock.handleTime(n * 1e6, n * 1e6 + 2_000, n * 1e6 + 200);
  assert.equal(clock.offsetUs, 1_900);
  clock.handleTime(5, 0, 4);
  assert.equal(clock.offsetUs, 1_900);
});
