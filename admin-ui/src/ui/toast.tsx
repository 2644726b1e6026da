/** Short words about what was just done. */

import { useSyncExternalStore } from 'react';

interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'bad';
}

const LASTS_MS = 6_000;
const MOST = 3;

let toasts: readonly Toast[] = [];
let next = 0;
const listeners = new Set<() => void>();

function set(list: readonly Toast[]): void {
  toasts = list;
  for (const listener of listeners) listener();
}

export function say(text: string, tone: Toast['tone'] = 'plain'): void {
  next += 1;
  const id = next;
  set([...toasts, { id, text, tone }].slice(-MOST));
  setTimeout(() => set(toasts.filter((toast) => toast.id !== id)), LASTS_MS);
}

export function Toasts() {
  const list = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {list.map((toast) => (
        <p key={toast.id} className={`toast ${toast.tone}`}>
          {toast.text}
        </p>
      ))}
    </div>
  );
}
