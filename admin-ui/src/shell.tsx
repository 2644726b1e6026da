/** What stands around every page: where one can go, for which tenant, and who one is. */

import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useRouterState } from '@tanstack/react-router';
import { type ReactNode, useEffect, useState } from 'react';
import { Dialog, Modal, ModalOverlay } from 'react-aria-components';
import type { Me, Role } from './api/client';
import { useLink } from './api/events';
import { may, tenantsQuery } from './api/queries';
import icon from './icon.svg';
import { Icon, type IconName } from './ui/icons';
import { Button, Choose } from './ui/kit';
import { words } from './words';

interface Place {
  to: string;
  text: string;
  icon: IconName;
  needs: Role;
}

const PLACES: readonly { title: string | undefined; places: readonly Place[] }[] = [
  {
    title: undefined,
    places: [
      { to: '/', text: words.nav.overview, icon: 'overview', needs: 'reader' },
      { to: '/streams', text: words.nav.streams, icon: 'streams', needs: 'reader' },
      { to: '/webhooks', text: words.nav.webhooks, icon: 'webhooks', needs: 'reader' },
      { to: '/usage', text: words.nav.usage, icon: 'usage', needs: 'reader' },
    ],
  },
  {
    title: words.nav.access,
    places: [
      { to: '/tokens', text: words.nav.tokens, icon: 'tokens', needs: 'reader' },
      { to: '/api-keys', text: words.nav.apiKeys, icon: 'key', needs: 'owner' },
      { to: '/people', text: words.nav.users, icon: 'users', needs: 'owner' },
      { to: '/audit', text: words.nav.audit, icon: 'audit', needs: 'owner' },
    ],
  },
  {
    title: words.nav.platform,
    places: [
      { to: '/nodes', text: words.nav.nodes, icon: 'nodes', needs: 'platform' },
      { to: '/tenants', text: words.nav.tenants, icon: 'tenants', needs: 'platform' },
    ],
  },
];

export function Shell({ own, children }: { own: Me; children: ReactNode }) {
  const [isOpen, setOpen] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes when the page changes
  useEffect(() => setOpen(false), [path]);
  const title = useTitle(path);
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {words.nav.skip}
      </a>
      <Side own={own} />
      <div className="main">
        <header className="topbar">
          <Brand />
          <Button tone="quiet" icon="menu" label={words.nav.menu} onPress={() => setOpen(true)} />
        </header>
        <ModalOverlay className="drawer-overlay" isOpen={isOpen} onOpenChange={setOpen} isDismissable>
          <Modal className="drawer">
            <Dialog aria-label={words.nav.menu}>
              <Side own={own} />
            </Dialog>
          </Modal>
        </ModalOverlay>
        <Line />
        <main className="content" id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
    </div>
  );
}

function useTitle(path: string): string {
  const places = PLACES.flatMap((group) => group.places);
  const inner = path.replace(/^\/admin/, '') || '/';
  const place = places.findLast((place) => (place.to === '/' ? inner === '/' : inner.startsWith(place.to)));
  return place ? `${place.text} · ${words.product}` : words.product;
}

function Brand() {
  return (
    <Link to="/" className="brand">
      <img src={icon} alt="" />
      {words.product}
    </Link>
  );
}

function Side({ own }: { own: Me }) {
  const name = own.user?.name ?? words.common.unknown;
  return (
    <aside className="side" aria-label={words.nav.side}>
      <Brand />
      <TenantChoice own={own} />
      <nav aria-label={words.nav.label} className="nav">
        {PLACES.map(({ title, places }) => {
          const seen = places.filter((place) => may(own, place.needs));
          return seen.length === 0 ? null : (
            <div key={title ?? ''} className="nav">
              {title && <p className="nav-group">{title}</p>}
              {seen.map((place) => (
                <Link
                  key={place.to}
                  to={place.to}
                  activeOptions={{ exact: place.to === '/', includeSearch: false }}
                >
                  <Icon name={place.icon} />
                  {place.text}
                </Link>
              ))}
            </div>
          );
        })}
      </nav>
      <div className="side-end">
        <Link to="/account" className="who">
          <span className="avatar" aria-hidden="true">
            {name.slice(0, 1).toUpperCase()}
          </span>
          <span className="who-name">
            <b>{name}</b>
            <span>{words.roles[own.role]}</span>
          </span>
        </Link>
      </div>
    </aside>
  );
}

const EVERYWHERE = 'all';

function TenantChoice({ own }: { own: Me }) {
  const navigate = useNavigate();
  const wanted = useRouterState({ select: (state) => state.location.search.tenant });
  const isPlatform = own.role === 'platform';
  const { data: known } = useQuery({ ...tenantsQuery, enabled: isPlatform });
  const tenants: readonly { id: string; name: string }[] = isPlatform ? (known ?? []) : own.tenants;
  if (!isPlatform && tenants.length < 2) {
    return tenants[0] ? <p className="nav-group">{tenants[0].name}</p> : null;
  }
  const choices = tenants.map(({ id, name }) => ({ id, text: name }));
  if (isPlatform) choices.unshift({ id: EVERYWHERE, text: words.common.allTenants });
  return (
    <Choose
      label={words.common.tenant}
      isHiddenLabel
      choices={choices}
      value={wanted ?? own.tenant ?? EVERYWHERE}
      onChange={(id) => {
        const tenant = id === EVERYWHERE ? undefined : id;
        // Another tenant has no page of this one's things.
        void navigate({ to: '/', search: { tenant } });
      }}
    />
  );
}

function Line() {
  const link = useLink();
  const [isOffline, setOffline] = useState(!navigator.onLine);
  useEffect(() => {
    const look = () => setOffline(!navigator.onLine);
    window.addEventListener('online', look);
    window.addEventListener('offline', look);
    return () => {
      window.removeEventListener('online', look);
      window.removeEventListener('offline', look);
    };
  }, []);
  return (
    <div role="status">
      {(isOffline || link === 'broken') && (
        <p className="banner">
          <Icon name="warning" />
          {isOffline ? words.errors.offline : words.errors.reconnecting}
        </p>
      )}
    </div>
  );
}
