import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type Delivery, type Webhook } from '../api/client';
import { may, useMe, webhookQuery } from '../api/queries';
import { clock, dateTime } from '../lib/format';
import { Badge, type BadgeTone, Button, Card, Confirm, Empty, Loaded, PageHead } from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';
import { WebhookState } from './webhooks';

const route = getRouteApi('/webhooks/$id');
const LIMIT = 50;

export function WebhookScreen() {
  const { id } = route.useParams();
  const query = useQuery(webhookQuery(id));
  return (
    <Loaded query={query} isPage>
      {(webhook) => <Shown webhook={webhook} />}
    </Loaded>
  );
}

function Shown({ webhook }: { webhook: Webhook }) {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isDeleting, setDeleting] = useState(false);
  const path = { webhook: webhook.id };
  const refresh = () => client.invalidateQueries({ queryKey: ['webhooks'] });
  const test = async () => {
    await ask(api.POST('/webhooks/{webhook}/test', { params: { path } }));
    say(words.webhooks.tested);
    await refresh();
  };
  const turn = async () => {
    const body = { disabled: !webhook.disabled };
    client.setQueryData(
      ['webhooks', webhook.id],
      await ask(api.PATCH('/webhooks/{webhook}', { params: { path }, body })),
    );
    say(webhook.disabled ? words.webhooks.enabled : words.webhooks.disabledDone);
    await refresh();
  };
  return (
    <>
      <PageHead
        crumb={<Link to="/webhooks">{words.webhooks.title}</Link>}
        title={webhook.url}
        lead={
          <>
            <WebhookState webhook={webhook} />{' '}
            {webhook.events.length === 0 ? words.webhooks.allEvents : webhook.events.join(', ')}
          </>
        }
      >
        {may(me, 'owner') && (
          <>
            {!webhook.disabled && <Button onPress={() => void test()}>{words.webhooks.test}</Button>}
            <Button onPress={() => void turn()}>
              {webhook.disabled ? words.webhooks.enable : words.webhooks.disable}
            </Button>
            <Button tone="danger" onPress={() => setDeleting(true)}>
              {words.common.delete}
            </Button>
          </>
        )}
      </PageHead>
      <Deliveries webhook={webhook} />
      <Confirm
        title={`${words.common.delete}: ${webhook.url}`}
        help={`${words.webhooks.deleteHelp} ${words.common.cantUndo}`}
        action={words.common.delete}
        typed={webhook.url}
        isOpen={isDeleting}
        onClose={() => setDeleting(false)}
        onConfirm={async () => {
          await ask(api.DELETE('/webhooks/{webhook}', { params: { path } }));
          await navigate({ to: '/webhooks' });
          await refresh();
          say(words.webhooks.deleted);
        }}
      />
    </>
  );
}

const TONES: Record<string, BadgeTone> = { delivered: 'good', failed: 'bad', pending: 'warn' };
const EVERY_MS = 3_000;

function Deliveries({ webhook }: { webhook: Webhook }) {
  const me = useMe();
  const client = useQueryClient();
  const key = ['webhooks', webhook.id, 'deliveries'];
  const query = useInfiniteQuery({
    queryKey: key,
    initialPageParam: '',
    queryFn: ({ pageParam: cursor }) =>
      ask(
        api.GET('/webhooks/{webhook}/deliveries', {
          params: { path: { webhook: webhook.id }, query: { limit: LIMIT, ...(cursor ? { cursor } : {}) } },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: EVERY_MS,
  });
  const again = async (delivery: Delivery) => {
    const path = { webhook: webhook.id, delivery: delivery.id };
    await ask(api.POST('/webhooks/{webhook}/deliveries/{delivery}/redeliver', { params: { path } }));
    say(words.webhooks.redelivered);
    await client.invalidateQueries({ queryKey: key });
  };
  const mayChange = may(me, 'owner');
  return (
    <Card title={words.webhooks.deliveries} note={words.webhooks.deliveriesHelp} isFlush>
      <Loaded query={query}>
        {({ pages }) => {
          const rows = pages.flatMap((page) => page.data);
          return rows.length === 0 ? (
            <Empty icon="webhooks" title={words.webhooks.noDeliveries}>
              {words.webhooks.noDeliveriesHelp}
            </Empty>
          ) : (
            <Table
              rows={rows}
              keyOf={(row) => row.id}
              columns={[
                { title: words.webhooks.event, kind: 'mono title', cell: (row) => row.event },
                {
                  title: words.common.status,
                  cell: ({ state }) => (
                    <Badge tone={TONES[state] ?? 'plain'}>{words.webhooks.states[state] ?? state}</Badge>
                  ),
                },
                {
                  title: words.webhooks.answer,
                  cell: (row) => (
                    <span>
                      {row.status ?? row.error ?? '–'}
                      {row.next_at && row.attempts > 0 && (
                        <span className="hint"> {words.webhooks.nextTry(clock(row.next_at))}</span>
                      )}
                    </span>
                  ),
                },
                { title: words.webhooks.attempts, kind: 'number', cell: (row) => row.attempts },
                { title: words.audit.time, cell: (row) => dateTime(row.created_at) },
                {
                  title: words.webhooks.payload,
                  cell: (row) => (
                    <details className="more">
                      <summary>{words.audit.details}</summary>
                      <pre>{row.payload}</pre>
                    </details>
                  ),
                },
                ...actions<Delivery>(mayChange, (row) => (
                  <Button size="small" onPress={() => void again(row)}>
                    {words.webhooks.redeliver}
                  </Button>
                )),
              ]}
            />
          );
        }}
      </Loaded>
      {query.hasNextPage && (
        <div className="card-body">
          <Button onPress={() => void query.fetchNextPage()} isPending={query.isFetchingNextPage}>
            {words.common.more}
          </Button>
        </div>
      )}
    </Card>
  );
}
