/** What pages around `/embed` may set and say, read at the edge. */

export interface EmbedSettings {
  autoplay: boolean;
  muted: boolean;
  controls: boolean;
  targetMs: number | undefined;
}

const TARGET_MS_MAX = 30_000;

/** `?autoplay=1&muted=1&controls=0&target=300`; muted follows autoplay, as browsers play by themselves only so. */
export function embedSettings(search: string): EmbedSettings {
  const query = new URLSearchParams(search);
  const flag = (name: string, unset: boolean) => {
    const value = query.get(name);
    return value === null ? unset : !['0', 'false', 'no'].includes(value);
  };
  const autoplay = flag('autoplay', false);
  return {
    autoplay,
    muted: flag('muted', autoplay),
    controls: flag('controls', true),
    targetMs: targetOf(query.get('target')),
  };
}

export type FrameCommand =
  | { type: 'weir:play' | 'weir:pause' | 'weir:live' }
  | { type: 'weir:mute'; muted: boolean }
  | { type: 'weir:volume'; volume: number }
  | { type: 'weir:token'; token: string }
  | { type: 'weir:target'; targetMs: number | undefined };

/** Undefined for anything else, as other scripts send messages too. */
export function parseFrameCommand(data: unknown): FrameCommand | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { type, muted, volume, token, targetMs } = data as Record<string, unknown>;
  switch (type) {
    case 'weir:play':
    case 'weir:pause':
    case 'weir:live':
      return { type };
    case 'weir:mute':
      return { type, muted: muted !== false };
    case 'weir:volume':
      return typeof volume === 'number' && volume >= 0 && volume <= 1 ? { type, volume } : undefined;
    case 'weir:token':
      return typeof token === 'string' && token !== '' ? { type, token } : undefined;
    case 'weir:target':
      return { type, targetMs: typeof targetMs === 'number' ? targetOf(`${targetMs}`) : undefined };
    default:
      return undefined;
  }
}

function targetOf(value: string | null): number | undefined {
  const targetMs = Number(value || Number.NaN);
  return targetMs > 0 && targetMs <= TARGET_MS_MAX ? targetMs : undefined;
}
