import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Role, type User } from '../api/client';
import { may, tenantsQuery, useMe, usersQuery } from '../api/queries';
import { ago } from '../lib/format';
import { useNow } from '../lib/now';
import { useForm } from '../ui/form';
import {
  Badge,
  Button,
  Card,
  Choose,
  Confirm,
  Copyable,
  Empty,
  explain,
  Field,
  Loaded,
  Notice,
  PageHead,
  Sheet,
} from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

type Doing =
  | { name: 'nothing' }
  | { name: 'role'; user: User }
  | { name: 'remove'; user: User }
  | { name: 'link'; user: User; url: string };

export function Users() {
  const me = useMe();
  const now = useNow();
  const client = useQueryClient();
  const query = useQuery(usersQuery);
  const isPlatform = may(me, 'platform');
  const { data: tenants } = useQuery({ ...tenantsQuery, enabled: isPlatform });
  const [isAdding, setAdding] = useState(false);
  const [doing, setDoing] = useState<Doing>({ name: 'nothing' });
  const isOwn = (user: User) => user.id === me.user?.id;
  const stop = () => setDoing({ name: 'nothing' });
  const refresh = () => client.invalidateQueries({ queryKey: ['users'] });
  const tenantName = (id: string) => tenants?.find((tenant) => tenant.id === id)?.name ?? id;
  const newLink = async (user: User) => {
    const path = { user: user.id };
    const { link } = await ask(api.POST('/users/{user}/link', { params: { path } }));
    setDoing({ name: 'link', user, url: link?.url ?? '' });
  };
  return (
    <>
      <PageHead title={words.users.title} lead={words.users.lead}>
        <Button tone="primary" icon="plus" onPress={() => setAdding(true)}>
          {words.users.invite}
        </Button>
      </PageHead>
      <Card isFlush>
        <Loaded query={query}>
          {(users) =>
            users.length === 0 ? (
              <Empty icon="users" title={words.users.none}>
                {words.users.noneHelp}
              </Empty>
            ) : (
              <Table
                rows={users}
                keyOf={(user) => user.id}
                columns={[
                  {
                    title: words.common.name,
                    kind: 'title',
                    cell: (user) => (
                      <>
                        {user.name} {isOwn(user) && <Badge tone="accent">{words.users.you}</Badge>}
                      </>
                    ),
                  },
                  { title: words.users.loginShort, cell: (user) => user.login },
                  {
                    title: words.users.roles,
                    cell: (user) => (
                      <span>
                        {user.roles.map((grant) => (
                          <span key={grant.tenant ?? ''} className="role">
                            {words.roles[grant.role]}
                            {!me.tenant && grant.tenant && (
                              <span className="muted"> · {tenantName(grant.tenant)}</span>
                            )}
                          </span>
                        ))}
                      </span>
                    ),
                  },
                  {
                    title: words.users.lastLogin,
                    cell: (user) =>
                      user.last_login_at ? (
                        ago(user.last_login_at, now)
                      ) : (
                        <Badge tone="warn">{words.users.invited}</Badge>
                      ),
                  },
                  ...actions<User>(
                    true,
                    (user) =>
                      !isOwn(user) && (
                        <span className="actions compact">
                          {me.tenant && (
                            <Button size="small" onPress={() => setDoing({ name: 'role', user })}>
                              {words.users.changeRole}
                            </Button>
                          )}
                          <Button
                            size="small"
                            onPress={() => void newLink(user).catch((error) => say(explain(error), 'bad'))}
                          >
                            {words.users.newLink}
                          </Button>
                          <Button
                            size="small"
                            tone="danger"
                            onPress={() => setDoing({ name: 'remove', user })}
                          >
                            {words.users.remove}
                          </Button>
                        </span>
                      ),
                  ),
                ]}
              />
            )
          }
        </Loaded>
      </Card>
      <Invite isOpen={isAdding} onClose={() => setAdding(false)} />
      {doing.name === 'role' && <ChangeRole user={doing.user} onClose={stop} />}
      <Sheet title={words.users.linkTitle} isOpen={doing.name === 'link'} onClose={stop}>
        {doing.name === 'link' && <LinkShown who={doing.user.name} url={doing.url} onClose={stop} />}
      </Sheet>
      <Confirm
        title={words.users.removeTitle(doing.name === 'remove' ? doing.user.name : '')}
        help={words.users.removeHelp}
        action={words.users.remove}
        {...(doing.name === 'remove' ? { typed: doing.user.login } : {})}
        isOpen={doing.name === 'remove'}
        onClose={stop}
        onConfirm={async () => {
          if (doing.name !== 'remove') return;
          await ask(api.DELETE('/users/{user}', { params: { path: { user: doing.user.id } } }));
          await refresh();
          say(words.users.removed);
        }}
      />
    </>
  );
}

function LinkShown({ who, url, onClose }: { who: string; url: string; onClose: () => void }) {
  return (
    <>
      <Notice tone="good">{words.users.linkHelp(who)}</Notice>
      <Copyable label={words.users.linkTitle} text={url} isTall />
      <div className="dialog-end">
        <Button tone="primary" onPress={onClose}>
          {words.common.done}
        </Button>
      </div>
    </>
  );
}

const OF_TENANT: Role[] = ['reader', 'operator', 'owner'];

function RoleChoice({
  roles,
  value,
  onChange,
}: {
  roles: Role[];
  value: Role;
  onChange: (role: Role) => void;
}) {
  const choices = roles.map((id) => ({ id, text: words.roles[id], hint: words.roleHelp[id] }));
  return <Choose label={words.common.role} choices={choices} value={value} onChange={onChange} />;
}

function ChangeRole({ user, onClose }: { user: User; onClose: () => void }) {
  const client = useQueryClient();
  const form = useForm([]);
  const [role, setRole] = useState<Role>(user.roles[0]?.role ?? 'reader');
  const save = async () => {
    await ask(api.PATCH('/users/{user}', { params: { path: { user: user.id } }, body: { role } }));
    await client.invalidateQueries({ queryKey: ['users'] });
    say(words.users.changed);
    onClose();
  };
  return (
    <Sheet title={`${words.users.changeRole}: ${user.name}`} isOpen onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(save);
        }}
      >
        <RoleChoice roles={OF_TENANT} value={role} onChange={setRole} />
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="dialog-end">
          <Button onPress={onClose}>{words.common.cancel}</Button>
          <Button tone="primary" type="submit" isPending={form.isBusy}>
            {words.common.save}
          </Button>
        </div>
      </form>
    </Sheet>
  );
}

function Invite({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const form = useForm(['login', 'name']);
  const roles: Role[] = me.tenant ? OF_TENANT : ['platform'];
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(roles[0] ?? 'reader');
  const [url, setUrl] = useState<string>();
  const close = () => {
    setUrl(undefined);
    setLogin('');
    setName('');
    form.reset();
    onClose();
  };
  const invite = async () => {
    const { link } = await ask(api.POST('/users', { body: { login, name, role } }));
    await client.invalidateQueries({ queryKey: ['users'] });
    if (link?.url) {
      setUrl(link.url);
      return;
    }
    say(words.users.added);
    close();
  };
  return (
    <Sheet title={url ? words.users.linkTitle : words.users.invite} isOpen={isOpen} onClose={close}>
      {url ? (
        <LinkShown who={name} url={url} onClose={close} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void form.submit(invite);
          }}
        >
          <Field
            label={words.common.name}
            value={name}
            onChange={setName}
            error={form.errorOf('name')}
            isRequired
            autoFocus
            autoComplete="off"
          />
          <Field
            label={words.users.login}
            value={login}
            onChange={setLogin}
            error={form.errorOf('login')}
            isRequired
            autoComplete="off"
          />
          <RoleChoice roles={roles} value={role} onChange={setRole} />
          {form.error && <Notice tone="bad">{form.error}</Notice>}
          <div className="dialog-end">
            <Button onPress={close}>{words.common.cancel}</Button>
            <Button
              tone="primary"
              type="submit"
              isPending={form.isBusy}
              isDisabled={login.trim() === '' || name.trim() === ''}
            >
              {words.users.invite}
            </Button>
          </div>
        </form>
      )}
    </Sheet>
  );
}
