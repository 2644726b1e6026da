/** Numbers and times as people read them. */

const UNITS = ['', 'k', 'M', 'G', 'T'];

function scaled(value: number, unit: string): string {
  let rest = value;
  let step = 0;
  while (rest >= 999.5 && step < UNITS.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const digits = rest >= 100 || step === 0 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)} ${UNITS[step]}${unit}`;
}

export const bits = (bps: number): string => scaled(bps, 'bit/s');
export const bytes = (count: number): string => scaled(count, 'B');
export const whole = (count: number): string => count.toLocaleString('en');

const SHORT = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const CLOCK = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hour12: false });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'long' });

export const dateTime = (text: string): string => SHORT.format(new Date(text));
export const clock = (text: string | number): string => CLOCK.format(new Date(text));

/** `now` as an argument, so that what is shown moves with the page's clock. */
export function ago(text: string, now: number): string {
  const seconds = Math.round((new Date(text).getTime() - now) / 1000);
  const past = Math.abs(seconds);
  if (past < 45) return 'just now';
  if (past < 45 * 60) return RELATIVE.format(Math.round(seconds / 60), 'minute');
  if (past < 22 * 3600) return RELATIVE.format(Math.round(seconds / 3600), 'hour');
  if (past < 26 * 86400) return RELATIVE.format(Math.round(seconds / 86400), 'day');
  return SHORT.format(new Date(text));
}

/** The two largest units: "3 h 20 min". */
export function duration(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first === -1) return '0 s';
  let rest = seconds;
  const parts = units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return `${count} ${unit}`;
  });
  return parts.filter((part) => !part.startsWith('0 ')).join(' ');
}

/** `key=value` lines; undefined where a line is none. */
export function parseLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  for (const line of text.split('\n').map((part) => part.trim())) {
    if (line === '') continue;
    const at = line.indexOf('=');
    if (at < 1) return undefined;
    labels[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return labels;
}

export const showLabels = (labels: Record<string, string>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');

/** Null for nothing, undefined for what is no number. */
export function parseLimit(text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  return /^\d{1,15}$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** `avc1.64001f` as people call it. */
export function codecName(codec: string): string {
  const kind = codec.split('.')[0] ?? codec;
  const known: Record<string, string> = {
    avc1: 'H.264',
    avc3: 'H.264',
    hvc1: 'H.265',
    hev1: 'H.265',
    av01: 'AV1',
    vp09: 'VP9',
    mp4a: 'AAC',
    opus: 'Opus',
    Opus: 'Opus',
    fLaC: 'FLAC',
    flac: 'FLAC',
  };
  return known[kind] ?? codec;
}
