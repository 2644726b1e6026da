/** What the pages ask, and how long an answer is good. */

import { queryOptions, useQuery } from '@tanstack/react-query';
import { ApiError, all, api, ask, type Me, type Role, type SigningKey, type Stream } from './client';

/** Streams that the list holds; past it a notice tells so. */
export const STREAMS_MAX = 5_000;
const PAGE = 100;
/** Sessions, users and keys that one page shows. */
const ROWS_MAX = 1_000;
export const LIVE_EVERY_MS = 2_000;

const RANK: Role[] = ['reader', 'operator', 'owner', 'platform'];

export const may = (me: Me, role: Role): boolean => RANK.indexOf(me.role) >= RANK.indexOf(role);

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: async (): Promise<Me | null> => {
    try {
      return await ask(api.GET('/me'));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 404)) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

export function useMe(): Me {
  const { data } = useQuery(meQuery);
  if (!data) throw new Error('nobody is signed in');
  return data;
}

export const streamsQuery = queryOptions({
  queryKey: ['streams'],
  queryFn: () =>
    all<Stream>(STREAMS_MAX, (cursor) =>
      ask(api.GET('/streams', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
    ),
  staleTime: 10_000,
});

/** Of all there are, by a part of the name or a whole id: for those that the list doesn't hold. */
export const searchQuery = (text: string) =>
  queryOptions({
    queryKey: ['streams', 'search', text],
    queryFn: () => ask(api.GET('/streams', { params: { query: { limit: PAGE, search: text } } })),
    enabled: text !== '',
    staleTime: 10_000,
  });

export const streamQuery = (id: string) =>
  queryOptions({
    queryKey: ['stream', id],
    queryFn: () => ask(api.GET('/streams/{stream}', { params: { path: { stream: id } } })),
    refetchInterval: (query) => (isRunning(query.state.data) ? LIVE_EVERY_MS : 15_000),
  });

export const isRunning = (stream: Stream | undefined): boolean =>
  stream !== undefined && ['live', 'stalled', 'interrupted'].includes(stream.state);

export const keysQuery = (id: string) =>
  queryOptions({
    queryKey: ['stream', id, 'keys'],
    queryFn: () => ask(api.GET('/streams/{stream}/keys', { params: { path: { stream: id } } })),
  });

export const sessionsQuery = (stream: string) =>
  queryOptions({
    queryKey: ['stream', stream, 'sessions'],
    queryFn: () =>
      all(ROWS_MAX, (cursor) =>
        ask(
          api.GET('/sessions', { params: { query: { stream, limit: PAGE, ...(cursor ? { cursor } : {}) } } }),
        ),
      ),
    refetchInterval: 5_000,
  });

export const signingKeysQuery = queryOptions({
  queryKey: ['signing-keys'],
  queryFn: () => ask(api.GET('/signing-keys')),
  // A set that was just named is fetched in these seconds.
  refetchInterval: (query) => (query.state.data?.data.some(isAwaited) ? 1_500 : 30_000),
});

const isAwaited = (key: SigningKey): boolean => Boolean(key.jwks_url && !key.fetched_at && !key.error);

export const apiKeysQuery = queryOptions({
  queryKey: ['api-keys'],
  queryFn: () =>
    all(ROWS_MAX, (cursor) =>
      ask(api.GET('/api-keys', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
    ),
});

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: () =>
    all(ROWS_MAX, (cursor) =>
      ask(api.GET('/users', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
    ),
});

export const webhooksQuery = queryOptions({
  queryKey: ['webhooks'],
  queryFn: () => ask(api.GET('/webhooks')),
  refetchInterval: 15_000,
});

export const webhookQuery = (id: string) =>
  queryOptions({
    queryKey: ['webhooks', id],
    queryFn: () => ask(api.GET('/webhooks/{webhook}', { params: { path: { webhook: id } } })),
    refetchInterval: 10_000,
  });

export const nodesQuery = queryOptions({
  queryKey: ['nodes'],
  queryFn: () => ask(api.GET('/nodes')),
  refetchInterval: 5_000,
});

export const tenantsQuery = queryOptions({
  queryKey: ['tenants'],
  queryFn: () =>
    all(ROWS_MAX, (cursor) =>
      ask(api.GET('/tenants', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
    ),
  staleTime: 30_000,
});

export const tenantQuery = (id: string) =>
  queryOptions({
    queryKey: ['tenants', id],
    queryFn: () => ask(api.GET('/tenants/{tenant}', { params: { path: { tenant: id } } })),
    staleTime: 30_000,
  });
