import { useSyncExternalStore } from 'react';

const EVERY_MS = 15_000;
let now = Date.now();
const listeners = new Set<() => void>();
setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, EVERY_MS);

/** The time, which moves often enough for "5 minutes ago". */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => now,
  );
}
