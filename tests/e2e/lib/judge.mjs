// Figures from what the probe saw.

export function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : Number.NaN;
}

/**
 * `sentFrames` maps numbers to the wall clock (ms) at which each was sent; without it nothing is said of
 * latency as seen from outside and of the share shown.
 */
export function judge(frames, { sentFrames, fromT = 0, toT = Number.POSITIVE_INFINITY } = {}) {
  const seen = frames.filter(({ t }) => t >= fromT && t <= toT);
  const valid = seen.filter(({ frame }) => frame !== null);
  const steps = valid.slice(1).map((now, at) => ({ now, before: valid[at] }));
  const back = steps.filter(({ now, before }) => now.frame < before.frame);
  const fresh = steps.filter(({ now, before }) => now.frame !== before.frame);
  const distinct = [valid[0], ...fresh.map(({ now }) => now)].filter(Boolean);
  let longest = { ms: 0, at: null };
  for (const [at, entry] of distinct.slice(1).entries()) {
    const ms = entry.t - distinct[at].t;
    if (ms > longest.ms) longest = { ms: Math.round(ms), at: distinct[at].frame };
  }
  const figures = {
    // A browser may present more frames than it calls back for, and starts to count anew with each source.
    presented: seen.reduce((sum, { presented }, at) => {
      const since = presented - (seen[at - 1]?.presented ?? presented);
      return sum + (since > 0 ? since : 1);
    }, 0),
    read: seen.length,
    unreadable: seen.length - valid.length,
    distinct: distinct.length,
    first: valid[0]?.frame ?? null,
    last: valid.at(-1)?.frame ?? null,
    back: back.map(({ now, before }) => `${before.frame}->${now.frame}`),
    freeze_ms: longest.ms,
    freeze_at: longest.at,
    player_latency_ms: Math.round(median(valid.map(({ latency_ms }) => latency_ms ?? Number.NaN))),
    max_rate: Math.max(0, ...seen.map(({ rate }) => rate)),
  };
  if (!sentFrames || valid.length === 0) return figures;
  const lateness = distinct.map(({ t, frame }) => t - (sentFrames.get(frame) ?? Number.NaN));
  const shown = new Set(distinct.map(({ frame }) => frame));
  const due = [...sentFrames.keys()].filter((n) => n >= figures.first && n <= figures.last);
  const share = (count) => Number((count / due.length).toFixed(3));
  return {
    ...figures,
    latency_ms: Math.round(median(lateness)),
    unknown: distinct.filter(({ frame }) => !sentFrames.has(frame)).length,
    read_share: share(due.filter((n) => shown.has(n)).length),
    shown_share: Math.min(1, share(figures.presented)),
  };
}

/** Collects failed expectations instead of stopping at the first. */
export class Expectations {
  failed = [];

  that(condition, message) {
    if (!condition) this.failed.push(message);
  }
}
