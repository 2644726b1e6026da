import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type ApiKey, api, ask, type Role } from '../api/client';
import { apiKeysQuery, may, useMe } from '../api/queries';
import { ago, dateTime } from '../lib/format';
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
  Field,
  Loaded,
  Notice,
  PageHead,
  Sheet,
} from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

export function ApiKeys() {
  const client = useQueryClient();
  const now = useNow();
  const query = useQuery(apiKeysQuery);
  const [isAdding, setAdding] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey>();
  return (
    <>
      <PageHead title={words.apiKeys.title} lead={words.apiKeys.lead}>
        <Button tone="primary" icon="plus" onPress={() => setAdding(true)}>
          {words.apiKeys.create}
        </Button>
      </PageHead>
      <Card isFlush>
        <Loaded query={query}>
          {(keys) =>
            keys.length === 0 ? (
              <Empty icon="key" title={words.apiKeys.none}>
                {words.apiKeys.noneHelp}
              </Empty>
            ) : (
              <Table
                rows={keys}
                keyOf={(key) => key.id}
                columns={[
                  { title: words.common.name, kind: 'title', cell: (key) => key.name },
                  {
                    title: words.common.role,
                    cell: (key) => <Badge tone="accent">{words.roles[key.role]}</Badge>,
                  },
                  { title: words.stream.prefix, kind: 'mono', cell: (key) => `${key.prefix}…` },
                  { title: words.common.created, cell: (key) => dateTime(key.created_at) },
                  {
                    title: words.common.lastUsed,
                    cell: (key) => (key.last_used_at ? ago(key.last_used_at, now) : words.common.never),
                  },
                  ...actions<ApiKey>(true, (key) => (
                    <Button size="small" tone="danger" onPress={() => setRevoked(key)}>
                      {words.apiKeys.revoke}
                    </Button>
                  )),
                ]}
              />
            )
          }
        </Loaded>
      </Card>
      <Add isOpen={isAdding} onClose={() => setAdding(false)} />
      <Confirm
        title={`${words.apiKeys.revoke}: ${revoked?.name ?? ''}`}
        help={`${words.apiKeys.revokeHelp} ${words.common.cantUndo}`}
        action={words.apiKeys.revoke}
        {...(revoked ? { typed: revoked.name } : {})}
        isOpen={revoked !== undefined}
        onClose={() => setRevoked(undefined)}
        onConfirm={async () => {
          if (!revoked) return;
          await ask(api.DELETE('/api-keys/{key}', { params: { path: { key: revoked.id } } }));
          client.setQueryData<ApiKey[]>(['api-keys'], (keys) => keys?.filter((key) => key.id !== revoked.id));
          say(words.apiKeys.revoked);
        }}
      />
    </>
  );
}

function Add({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const form = useForm(['name']);
  const [name, setName] = useState('');
  const [made, setMade] = useState<string>();
  const isOfPlatform = may(me, 'platform') && !me.tenant;
  const roles: Role[] = isOfPlatform ? ['platform'] : ['reader', 'operator', 'owner'];
  const [role, setRole] = useState<Role>(roles[0] ?? 'reader');
  const close = () => {
    setMade(undefined);
    setName('');
    form.reset();
    onClose();
  };
  const add = async () => {
    const { key } = await ask(api.POST('/api-keys', { body: { name, role } }));
    setMade(key ?? '');
    await client.invalidateQueries({ queryKey: ['api-keys'] });
  };
  const example = `curl -H 'Authorization: Bearer ${made}' ${location.origin}/api/v1/streams`;
  return (
    <Sheet title={made ? words.apiKeys.madeTitle : words.apiKeys.create} isOpen={isOpen} onClose={close}>
      {made ? (
        <>
          <Notice tone="good">{words.apiKeys.madeHelp}</Notice>
          <Copyable label={words.apiKeys.madeTitle} text={made} />
          <Copyable label={words.apiKeys.use} text={example} isTall />
          <div className="dialog-end">
            <Button tone="primary" onPress={close}>
              {words.common.done}
            </Button>
          </div>
        </>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void form.submit(add);
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
          <Choose
            label={words.common.role}
            choices={roles.map((id) => ({ id, text: words.roles[id], hint: words.roleHelp[id] }))}
            value={role}
            onChange={setRole}
          />
          {form.error && <Notice tone="bad">{form.error}</Notice>}
          <div className="dialog-end">
            <Button onPress={close}>{words.common.cancel}</Button>
            <Button tone="primary" type="submit" isPending={form.isBusy} isDisabled={name.trim() === ''}>
              {words.common.create}
            </Button>
          </div>
        </form>
      )}
    </Sheet>
  );
}
