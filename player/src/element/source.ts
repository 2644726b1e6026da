/** What the `src` attribute may be: an address to watch, as a socket, a link or a page. */

export interface Source {
  /** `wss://HOST/live/{playback_id}` */
  url: string;
  playbackId: string;
  token: string | undefined;
}

const PATH = /^(.*\/)(?:live|watch|embed)\/([^/]+?)(?:\.mp4)?\/?$/;

/** Undefined where it is none of `wss://HOST/live/ID`, `https://HOST/live/ID`, `.../watch/ID#token=...`. */
export function parseSource(src: string, base: string): Source | undefined {
  let url: URL;
  try {
    url = new URL(src, base);
  } catch {
    return undefined;
  }
  const [, folder, id] = PATH.exec(url.pathname) ?? [];
  if (folder === undefined || id === undefined || !/^(ws|http)s?:$/.test(url.protocol)) return undefined;
  const token =
    new URLSearchParams(url.hash.slice(1)).get('token') ?? url.searchParams.get('token') ?? undefined;
  const scheme = url.protocol.endsWith('s:') ? 'wss' : 'ws';
  return { url: `${scheme}://${url.host}${folder}live/${id}`, playbackId: decodeURIComponent(id), token };
}
