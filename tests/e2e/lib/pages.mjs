// A site of its own, on another origin than the server: pages of a test, and the player's examples.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript' };

/** `pages` maps paths to `{ body, status?, type?, headers? }` or functions of the request that return one. */
export async function startSite({ pages = {}, folders = {} } = {}) {
  const site = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    try {
      const page = pages[pathname];
      const found = page ? await (typeof page === 'function' ? page(request) : page) : await fromFolder(pathname);
      response.writeHead(found.status ?? 200, { 'content-type': found.type ?? TYPES['.html'], ...found.headers });
      response.end(found.body);
    } catch {
      response.writeHead(404).end();
    }
  });

  async function fromFolder(pathname) {
    const [, name, ...rest] = pathname.split('/');
    if (!folders[name]) throw new Error('no such page');
    const path = join(folders[name], normalize(`/${rest.join('/')}`));
    return { body: await readFile(path), type: TYPES[extname(path)] ?? 'text/plain' };
  }

  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${site.address().port}`,
    async close() {
      site.closeAllConnections();
      await new Promise((resolve) => site.close(resolve));
    },
  };
}
