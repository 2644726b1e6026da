// Between browsers and a real server: passes everything on, except for the faults that a test asks for.

import { createServer, request as httpRequest } from 'node:http';
import WebSocket, { WebSocketServer } from 'ws';
import { isSync } from './fragments.mjs';

/** `{ base, links, onViewer, ... , close() }`; a link is one viewer's socket, both ways. */
export async function startProxy(upstream) {
  const target = new URL(upstream);
  const http = createServer(pass);
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: chosen });
  const proxy = {
    links: [],
    /** Set by a test: `(bytes) => boolean`, whether a binary message goes through. */
    keep: undefined,
    /** While true, what comes from the server waits. */
    held: false,
    /** While true, connections are refused, as by a network that is gone. */
    away: false,
    async close() {
      for (const link of proxy.links) link.cut();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };

  function pass(request, response) {
    if (proxy.away) return request.socket.destroy();
    const { method, url, headers } = request;
    const onward = httpRequest({ host: target.hostname, port: target.port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }

  http.on('upgrade', (request, socket, head) => {
    if (proxy.away) return socket.destroy();
    const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const { host, origin } = request.headers;
    const server = new WebSocket(`ws://${target.host}${request.url}`, protocols, {
      headers: { host, ...(origin ? { origin } : {}) },
      perMessageDeflate: false,
    });
    server.on('unexpected-response', (_, answer) => {
      socket.end(`HTTP/1.1 ${answer.statusCode} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    });
    server.on('error', () => socket.destroy());
    // What the server says right after the upgrade must not be lost before the browser's side is ready.
    const early = [];
    const collect = (data, isBinary) => early.push([data, isBinary]);
    server.on('message', collect);
    server.on('open', () => {
      request.chosen = server.protocol;
      socket.setNoDelay(true);
      sockets.handleUpgrade(request, socket, head, (browser) => {
        server.off('message', collect);
        proxy.links.push(new Link(proxy, browser, server, early));
      });
    });
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  proxy.base = `http://127.0.0.1:${http.address().port}`;
  return proxy;
}

function chosen(_, request) {
  return request.chosen || false;
}

class Link {
  /** Messages of the player, parsed, with the time at which they came. */
  said = [];
  #waiting;

  constructor(proxy, browser, server, early) {
    this.proxy = proxy;
    this.browser = browser;
    this.server = server;
    this.openedAt = Date.now();
    this.#waiting = early;
    server.on('message', (data, isBinary) => {
      this.#waiting.push([data, isBinary]);
      this.flush();
    });
    server.on('close', (code, reason) => this.#finish(browser, code, reason));
    browser.on('message', (data, isBinary) => {
      if (!isBinary) this.said.push({ at: Date.now(), ...JSON.parse(data) });
      if (server.readyState === WebSocket.OPEN) server.send(data, { binary: isBinary });
    });
    browser.on('close', () => server.close());
    this.flush();
  }

  flush() {
    while (!this.proxy.held && this.#waiting.length > 0) {
      const [data, isBinary] = this.#waiting.shift();
      if (isBinary && this.proxy.keep && !this.proxy.keep(data)) continue;
      if (this.browser.readyState === WebSocket.OPEN) this.browser.send(data, { binary: isBinary });
    }
  }

  /** As the server would say it. */
  say(message) {
    this.browser.send(JSON.stringify(message));
  }

  bye(code, reason, retryAfterMs) {
    this.say({ type: 'bye', code, reason, ...(retryAfterMs ? { retry_after_ms: retryAfterMs } : {}) });
    this.browser.close(code, reason);
  }

  cut() {
    this.browser.terminate();
    this.server.terminate();
  }

  #finish(browser, code, reason) {
    if (code >= 1000 && code !== 1005 && code !== 1006) browser.close(code, reason);
    else browser.terminate();
  }
}

/** Track and kind of a chunk: `{ track, key }`. */
export function chunkFacts(bytes) {
  const track = bytes.readUInt32BE(bytes.indexOf('tfhd') + 8);
  return { track, key: track === 1 && isSync(bytes) };
}
