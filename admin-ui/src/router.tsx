/** Every address of the admin UI. */

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  retainSearchParams,
} from '@tanstack/react-router';
import { App, NotFound } from './app';
import { Overview } from './screens/overview';
import { Streams } from './screens/streams';
import { Broken } from './ui/broken';
import { Skeletons } from './ui/kit';

type Search = Record<string, unknown>;

const text = (value: unknown): string | undefined => {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
};
/** Only what is said, so that addresses stay short. */
const said = <T extends Record<string, string | undefined>>(values: T) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string | undefined;
  };

const root = createRootRoute({
  component: App,
  notFoundComponent: NotFound,
  errorComponent: Broken,
  validateSearch: (search: Search) => said({ tenant: text(search.tenant) }),
  search: { middlewares: [retainSearchParams(['tenant'])] },
});

const at = { getParentRoute: () => root };

const overview = createRoute({ ...at, path: '/', component: Overview });

const streams = createRoute({
  ...at,
  path: '/streams',
  component: Streams,
  validateSearch: (search: Search) =>
    said({ q: text(search.q), state: text(search.state), policy: text(search.policy) }),
});

const stream = createRoute({
  ...at,
  path: '/streams/$id',
  component: lazyRouteComponent(() => import('./screens/stream'), 'StreamScreen'),
  validateSearch: (search: Search) => said({ tab: text(search.tab) }),
});

const tokens = createRoute({
  ...at,
  path: '/tokens',
  component: lazyRouteComponent(() => import('./screens/tokens'), 'Tokens'),
  validateSearch: (search: Search) => said({ stream: text(search.stream) }),
});

const apiKeys = createRoute({
  ...at,
  path: '/api-keys',
  component: lazyRouteComponent(() => import('./screens/api_keys'), 'ApiKeys'),
});

const webhooks = createRoute({
  ...at,
  path: '/webhooks',
  component: lazyRouteComponent(() => import('./screens/webhooks'), 'Webhooks'),
});

const webhook = createRoute({
  ...at,
  path: '/webhooks/$id',
  component: lazyRouteComponent(() => import('./screens/webhook'), 'WebhookScreen'),
});

const usage = createRoute({
  ...at,
  path: '/usage',
  component: lazyRouteComponent(() => import('./screens/usage'), 'UsageScreen'),
  validateSearch: (search: Search) => said({ range: text(search.range) }),
});

const users = createRoute({
  ...at,
  path: '/people',
  component: lazyRouteComponent(() => import('./screens/users'), 'Users'),
});

const audit = createRoute({
  ...at,
  path: '/audit',
  component: lazyRouteComponent(() => import('./screens/audit'), 'Audit'),
  validateSearch: (search: Search) => said({ q: text(search.q), outcome: text(search.outcome) }),
});

const nodes = createRoute({
  ...at,
  path: '/nodes',
  component: lazyRouteComponent(() => import('./screens/nodes'), 'Nodes'),
});

const tenants = createRoute({
  ...at,
  path: '/tenants',
  component: lazyRouteComponent(() => import('./screens/tenants'), 'Tenants'),
});

const account = createRoute({
  ...at,
  path: '/account',
  component: lazyRouteComponent(() => import('./screens/account'), 'Account'),
});

const welcome = createRoute({
  ...at,
  path: '/welcome',
  component: lazyRouteComponent(() => import('./screens/welcome'), 'Welcome'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview,
    streams,
    stream,
    tokens,
    apiKeys,
    webhooks,
    webhook,
    usage,
    users,
    audit,
    nodes,
    tenants,
    account,
    welcome,
  ]),
  basepath: '/admin',
  defaultPreload: 'intent',
  defaultPendingComponent: () => <Skeletons />,
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
