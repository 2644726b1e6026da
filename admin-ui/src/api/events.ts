/** Server-sent events, put into what the pages have asked for already. */

import type { QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import type { Stream } from './client';

export interface Told {
  id: string;
  type: string;
  timestamp: string;
  data: {
    tenant?: string;
    stream?: string;
    state?: string;
    viewers?: number;
    code?: string;
    message?: string;
    quota?: string;
  };
}

const NAMES = ['stream.live', 'stream.interrupted', 'stream.ended', 'stream.warning', 'quota.reached'];
/** Of what just happened. */
const KEPT = 50;
/** A break shorter than this is not worth a word. */
const PATIENCE_MS = 4_000;

export type Link = 'open' | 'broken';

let link: Link = 'open';
let told: readonly Told[] = [];
const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useLink = (): Link => useSyncExternalStore(subscribe, () => link);
export const useTold = (): readonly Told[] => useSyncExternalStore(subscribe, () => told);

/** Listens until the returned function is called. */
export function listen(client: QueryClient, tenant: string | undefined): () => void {
  const query = tenant ? `?tenant=${encodeURIComponent(tenant)}` : '';
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let late: ReturnType<typeof setTimeout> | undefined;
  let wasOpen = false;
  const setLink = (next: Link) => {
    clearTimeout(late);
    late = undefined;
    if (link !== next) {
      link = next;
      changed();
    }
  };
  const refresh = () => {
    void client.invalidateQueries({ queryKey: ['streams'] });
    void client.invalidateQueries({ queryKey: ['stream'] });
  };
  const connect = () => {
    source = new EventSource(`/api/v1/events${query}`);
    source.addEventListener('open', () => {
      // What happened during the break was not told.
      if (wasOpen) refresh();
      wasOpen = true;
      setLink('open');
    });
    source.addEventListener('error', () => {
      late ??= setTimeout(() => setLink('broken'), PATIENCE_MS);
      if (source?.readyState !== EventSource.CLOSED) return;
      // A refusal is not tried again by the browser itself.
      void client.invalidateQueries({ queryKey: ['me'] });
      again = setTimeout(connect, PATIENCE_MS);
    });
    source.addEventListener('missed', refresh);
    source.addEventListener('viewers.changed', (event) => take(client, event));
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        const one = take(client, event);
        if (one) told = [one, ...told].slice(0, KEPT);
        changed();
      });
    }
  };
  connect();
  return () => {
    source?.close();
    clearTimeout(again);
    clearTimeout(late);
    told = [];
    link = 'open';
    changed();
  };
}

function take(client: QueryClient, event: MessageEvent): Told | undefined {
  const one = parse(event.data);
  const id = one?.data.stream;
  if (!one || !id) return one;
  const patch = (stream: Stream): Stream => ({
    ...stream,
    ...(one.data.state === undefined ? {} : { state: one.data.state }),
    ...(one.data.viewers === undefined ? {} : { viewers: one.data.viewers }),
  });
  client.setQueryData<Stream[]>(['streams'], (rows) =>
    rows?.map((row) => (row.id === id ? patch(row) : row)),
  );
  client.setQueryData<Stream>(['stream', id], (stream) => stream && patch(stream));
  if (one.type !== 'viewers.changed') {
    void client.invalidateQueries({ queryKey: ['stream', id], exact: true });
    void client.invalidateQueries({ queryKey: ['streams'] });
  } else {
    void client.invalidateQueries({ queryKey: ['stream', id, 'sessions'] });
  }
  return one;
}

function parse(text: unknown): Told | undefined {
  try {
    const value: unknown = JSON.parse(String(text));
    const isTold = typeof value === 'object' && value !== null && 'type' in value && 'data' in value;
    return isTold ? (value as Told) : undefined;
  } catch {
    return undefined;
  }
}
