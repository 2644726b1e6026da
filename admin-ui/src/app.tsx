/** Who is signed in decides what is shown: the door, or the pages of one tenant or of the platform. */

import { QueryClientProvider, useQuery, useQueryClient } from '@tanstack/react-query';
import { Outlet, useRouterState, useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { I18nProvider } from 'react-aria-components';
import { actFor, type Me } from './api/client';
import { door, newClient } from './api/door';
import { listen } from './api/events';
import { meQuery } from './api/queries';
import { SignIn } from './screens/sign_in';
import { Shell } from './shell';
import { Empty, Failed, Skeletons } from './ui/kit';
import { Toasts } from './ui/toast';
import { words } from './words';

export function App() {
  return (
    <I18nProvider locale="en-GB">
      <QueryClientProvider client={door}>
        <Door />
      </QueryClientProvider>
      <Toasts />
    </I18nProvider>
  );
}

function Door() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const { data: me, error, isPending, refetch } = useQuery(meQuery);
  if (path.endsWith('/welcome')) return <Outlet />;
  if (isPending) return <Skeletons />;
  if (me === undefined) {
    return (
      <main className="door">
        <Failed
          isPage
          error={error}
          onRetry={() => {
            void refetch();
          }}
        />
      </main>
    );
  }
  return me ? <Tenancy own={me} /> : <SignIn />;
}

function Tenancy({ own }: { own: Me }) {
  const wanted = useSearch({ strict: false, select: (search) => search.tenant });
  const tenant = wanted ?? own.tenant ?? undefined;
  return <Scope key={`${own.user?.id} ${tenant}`} own={own} tenant={tenant} />;
}

/** One cache for each tenant: nothing of one is ever shown as another's. */
function Scope({ own, tenant }: { own: Me; tenant: string | undefined }) {
  const [client] = useState(() => {
    const made = newClient();
    if (tenant === (own.tenant ?? undefined)) made.setQueryData(['me'], own);
    return made;
  });
  actFor(tenant);
  useEffect(() => listen(client, tenant), [client, tenant]);
  return (
    <QueryClientProvider client={client}>
      <Inside own={own} />
    </QueryClientProvider>
  );
}

function Inside({ own }: { own: Me }) {
  const { data: me, error, isPending } = useQuery(meQuery);
  const client = useQueryClient();
  if (isPending) return <Skeletons />;
  return (
    <Shell own={own}>
      {me ? (
        <Outlet />
      ) : error ? (
        <Failed isPage error={error} onRetry={() => client.invalidateQueries()} />
      ) : (
        <NotFound />
      )}
    </Shell>
  );
}

export function NotFound() {
  return (
    <Empty icon="search" title={words.errors.notFoundTitle} isPage>
      {words.errors.notFound}
    </Empty>
  );
}
