#!/usr/bin/env node
// A cluster to look at, until Ctrl-C: three nodes behind haproxy, the demo clip published in a loop.
//   WEIR_BIN=target/release/weir node up.mjs       then: kill -9 one of the nodes, and watch

import { startCluster } from './lib/cluster.mjs';
import { Child, sleep } from './lib/processes.mjs';

const CLIP = new URL('../../src/cli/demo.flv', import.meta.url).pathname;
const EVERY_MS = 1000;
const AGAIN_MS = 500;

let cluster;
let publisher;
let isEnding = false;

async function publishAlways(binary, stream) {
  while (!isEnding) {
    publisher = new Child('publisher', binary, ['publish', stream.rtmpUrl, CLIP, '--loop']);
    await publisher.done;
    await sleep(AGAIN_MS);
  }
}

async function reviveAlways() {
  while (!isEnding) {
    for (const { name, child } of cluster.nodes.values()) {
      if (child.exit && !isEnding) {
        console.log(`node ${name} ended; it is started again in 5 s`);
        await sleep(5000);
        if (!isEnding) await cluster.startNode(name).catch((error) => console.log(error.message));
      }
    }
    await sleep(EVERY_MS);
  }
}

async function row({ name, child, http }) {
  const figures = ['weir_viewers', 'weir_streams_live', 'weir_relays'].map((metric) =>
    cluster.metric(name, metric).catch(() => '-'),
  );
  const state = await fetch(`http://127.0.0.1:${http}/readyz`)
    .then((answer) => (answer.ok ? 'ready' : 'draining'))
    .catch(() => 'gone');
  const [viewers, owned, followers] = await Promise.all(figures);
  return { node: name, pid: child.process.pid, state, viewers, owned, followers };
}

async function showAlways(stream) {
  const isTerminal = process.stdout.isTTY;
  let before;
  while (!isEnding) {
    const rows = await Promise.all([...cluster.nodes.values()].map(row));
    const owner = await cluster.owner(stream.id);
    const cells = (values) => values.map((value) => String(value).padEnd(10)).join('');
    const lines = [
      cells(Object.keys(rows[0])),
      ...rows.map((values) => cells(Object.values(values))),
      `stream ${stream.id}: ${owner ? `owned by ${owner.node}, fence ${owner.fence}` : 'nobody owns it'}`,
    ].join('\n');
    if (isTerminal && before) process.stdout.write(`\x1b[${before.split('\n').length}A\x1b[J`);
    if (isTerminal || lines !== before) console.log(lines);
    before = lines;
    await sleep(EVERY_MS);
  }
}

async function end() {
  if (isEnding) return;
  isEnding = true;
  console.log('ending');
  await publisher?.end('SIGTERM');
  await cluster?.stop();
  process.exit(0);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end);
const binary = process.env.WEIR_BIN;
if (!binary) throw new Error('WEIR_BIN is not set: the path of the weir binary');
cluster = await startCluster(binary);
const stream = await cluster.createStream('demo');
console.log(`watch      ${stream.pageUrl}`);
console.log(`API        ${cluster.base}/api/v1 with the key ${cluster.adminKey}`);
console.log('Ctrl-C ends everything; kill -9 the pid of a node to see what its viewers see\n');
await Promise.all([publishAlways(binary, stream), reviveAlways(), showAlways(stream)]);
