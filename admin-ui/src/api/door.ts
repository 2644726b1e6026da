/** Who is signed in, whatever tenant is looked at. */

import { QueryCache, QueryClient } from '@tanstack/react-query';
import { ApiError, type Me } from './client';

const RETRIES = 2;

/** What was refused is not asked again; the rest may pass. */
const retry = (count: number, error: unknown): boolean =>
  count < RETRIES && !(error instanceof ApiError && error.status < 500 && error.status !== 429);

export const door = new QueryClient({ defaultOptions: { queries: { retry } } });

/** After signing in or out. */
export function enter(me: Me | null): void {
  door.setQueryData(['me'], me);
}

/** A cache for one tenant. */
export function newClient(): QueryClient {
  const onError = (error: unknown) => {
    if (error instanceof ApiError && error.status === 401) void door.invalidateQueries({ queryKey: ['me'] });
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError }),
    defaultOptions: { queries: { retry, staleTime: 5_000 } },
  });
}
