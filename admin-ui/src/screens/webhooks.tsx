import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type EventName, type Webhook } from '../api/client';
import { may, useMe, webhooksQuery } from '../api/queries';
import { dateTime } from '../lib/format';
import { useForm } from '../ui/form';
import {
  Badge,
  Button,
  Card,
  Check,
  Copyable,
  Empty,
  Field,
  Loaded,
  Notice,
  PageHead,
  Sheet,
} from '../ui/kit';
import { NeedTenant } from '../ui/need_tenant';
import { Table } from '../ui/table';
import { words } from '../words';

export function WebhookState({ webhook }: { webhook: Webhook }) {
  if (webhook.disabled) return <Badge tone="bad">{words.webhooks.disabled}</Badge>;
  if (webhook.failing_since) {
    return <Badge tone="warn">{words.webhooks.failing(dateTime(webhook.failing_since))}</Badge>;
  }
  return <Badge tone="good">{words.webhooks.active}</Badge>;
}

export function Webhooks() {
  const me = useMe();
  const [isAdding, setAdding] = useState(false);
  return (
    <>
      <PageHead title={words.webhooks.title} lead={words.webhooks.lead}>
        {may(me, 'owner') && me.tenant && (
          <Button tone="primary" icon="plus" onPress={() => setAdding(true)}>
            {words.webhooks.create}
          </Button>
        )}
      </PageHead>
      <NeedTenant help={words.webhooks.chooseTenantHelp}>
        <Listed />
      </NeedTenant>
      <Add isOpen={isAdding} onClose={() => setAdding(false)} />
    </>
  );
}

function Listed() {
  const query = useQuery(webhooksQuery);
  return (
    <Card isFlush>
      <Loaded query={query}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty icon="webhooks" title={words.webhooks.none}>
              {words.webhooks.noneHelp}
            </Empty>
          ) : (
            <Table
              rows={data}
              keyOf={(webhook) => webhook.id}
              columns={[
                {
                  title: words.webhooks.url,
                  kind: 'title',
                  cell: ({ id, url }) => (
                    <Link to="/webhooks/$id" params={{ id }}>
                      {url}
                    </Link>
                  ),
                },
                {
                  title: words.webhooks.events,
                  cell: ({ events }) => (events.length === 0 ? words.webhooks.allEvents : events.join(', ')),
                },
                { title: words.common.status, cell: (webhook) => <WebhookState webhook={webhook} /> },
                { title: words.common.created, cell: (webhook) => dateTime(webhook.created_at) },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

const NAMES: readonly EventName[] = [
  'stream.live',
  'stream.interrupted',
  'stream.ended',
  'stream.warning',
  'quota.reached',
  'viewers.changed',
];

function Add({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const form = useForm(['url', 'events']);
  const [url, setUrl] = useState('https://');
  const [events, setEvents] = useState<readonly EventName[]>([]);
  const [secret, setSecret] = useState<string>();
  const close = () => {
    setSecret(undefined);
    setUrl('https://');
    setEvents([]);
    form.reset();
    onClose();
  };
  const add = async () => {
    const made = await ask(api.POST('/webhooks', { body: { url, events: [...events] } }));
    setSecret(made.secret ?? '');
    await client.invalidateQueries({ queryKey: ['webhooks'] });
  };
  return (
    <Sheet
      title={secret === undefined ? words.webhooks.create : words.webhooks.madeTitle}
      isOpen={isOpen}
      onClose={close}
    >
      {secret === undefined ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void form.submit(add);
          }}
        >
          <Field
            label={words.webhooks.url}
            value={url}
            onChange={setUrl}
            hint={words.webhooks.urlHelp}
            error={form.errorOf('url')}
            type="url"
            isRequired
            autoFocus
          />
          <fieldset className="plain">
            <legend className="react-aria-Label">{words.webhooks.events}</legend>
            <p className="hint">{words.webhooks.eventsHelp}</p>
            {NAMES.map((name) => (
              <Check
                key={name}
                isSelected={events.includes(name)}
                onChange={(is) =>
                  setEvents(is ? [...events, name] : events.filter((known) => known !== name))
                }
              >
                <span className="mono">{name}</span>
              </Check>
            ))}
          </fieldset>
          {form.error && <Notice tone="bad">{form.error}</Notice>}
          <div className="dialog-end">
            <Button onPress={close}>{words.common.cancel}</Button>
            <Button tone="primary" type="submit" isPending={form.isBusy}>
              {words.common.create}
            </Button>
          </div>
        </form>
      ) : (
        <>
          <Notice tone="good">{words.webhooks.madeHelp}</Notice>
          <Copyable label={words.webhooks.madeTitle} text={secret} />
          <div className="dialog-end">
            <Button tone="primary" onPress={close}>
              {words.common.done}
            </Button>
          </div>
        </>
      )}
    </Sheet>
  );
}
