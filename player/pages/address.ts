/** What the server's pages read from their own address. */

export interface Address {
  /** As `src` of the player. */
  src: string;
  playbackId: string;
  token: string | undefined;
}

export function ownAddress(): Address {
  const playbackId = decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1) ?? '');
  return {
    src: `${location.origin}/live/${encodeURIComponent(playbackId)}`,
    playbackId,
    token: tokenOf(location.hash),
  };
}

/** From `#token=...`, which browsers send to no server. */
export function tokenOf(hash: string): string | undefined {
  return new URLSearchParams(hash.slice(1)).get('token') || undefined;
}

/** The name that the stream's owner gave it, for those who may watch. */
export async function streamName({ src, token }: Address): Promise<string | undefined> {
  try {
    const headers: HeadersInit = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch(src, { headers, cache: 'no-store' });
    const { name } = (await answer.json()) as { name?: unknown };
    return answer.ok && typeof name === 'string' ? name : undefined;
  } catch {
    return undefined;
  }
}
