import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { api, ask, type Publish, type Stream } from '../api/client';
import { may, useMe } from '../api/queries';
import { dateTime, duration } from '../lib/format';
import { Badge, type BadgeTone, Button, Card, Empty, Loaded } from '../ui/kit';
import { Table } from '../ui/table';
import { words } from '../words';
import { AuditTable } from './audit';

const PUBLISHES = 20;
/** Entries of the audit that are looked through. */
const LIMIT = 100;
const EVERY_MS = 10_000;

export function HistoryTab({ stream }: { stream: Stream }) {
  const me = useMe();
  return (
    <div className="stack">
      <Publishes stream={stream} />
      {may(me, 'owner') ? <Changes stream={stream} /> : <p className="muted">{words.stream.ownerOnly}</p>}
    </div>
  );
}

const TONES: Record<string, BadgeTone> = { live: 'good', interrupted: 'warn' };

function Publishes({ stream }: { stream: Stream }) {
  const query = useInfiniteQuery({
    // With the state, so that a publish that begins or ends is there at once.
    queryKey: ['stream', stream.id, 'publishes', stream.state],
    initialPageParam: '',
    queryFn: ({ pageParam: cursor }) =>
      ask(
        api.GET('/streams/{stream}/publishes', {
          params: {
            path: { stream: stream.id },
            query: { limit: PUBLISHES, ...(cursor ? { cursor } : {}) },
          },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: EVERY_MS,
    placeholderData: (before) => before,
  });
  const { publishes } = words.stream;
  return (
    <Card title={publishes.title} note={publishes.help} isFlush>
      <Loaded query={query} rows={4}>
        {({ pages }) => {
          const rows = pages.flatMap((page) => page.data);
          return rows.length === 0 ? (
            <Empty icon="streams" title={publishes.none}>
              {publishes.noneHelp}
            </Empty>
          ) : (
            <Table
              rows={rows}
              keyOf={(row) => row.id}
              columns={[
                {
                  title: publishes.started,
                  kind: 'nowrap title',
                  cell: (row) => (row.started_at ? dateTime(row.started_at) : publishes.before),
                },
                {
                  title: words.common.status,
                  kind: 'nowrap',
                  cell: ({ state }) => (
                    <Badge tone={TONES[state] ?? 'plain'}>{publishes.states[state] ?? state}</Badge>
                  ),
                },
                { title: publishes.ended, kind: 'nowrap', cell: endOf },
                {
                  title: publishes.duration,
                  kind: 'number',
                  cell: (row) => (row.duration_s == null ? '–' : duration(row.duration_s)),
                },
                { title: publishes.interruptions, kind: 'number', cell: (row) => row.interruptions },
                { title: words.stream.facts.node, cell: (row) => row.node ?? '–' },
                { title: publishes.reason, cell: reasonOf },
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

function endOf({ state, ended_at: ended }: Publish): string {
  if (ended) return dateTime(ended);
  return state === 'ended' ? words.stream.publishes.lost : '–';
}

function reasonOf({ reason }: Publish): string {
  return reason ? (words.stream.publishes.reasons[reason] ?? reason) : '–';
}

function Changes({ stream }: { stream: Stream }) {
  const query = useQuery({
    queryKey: ['audit', 'stream', stream.id],
    queryFn: () => ask(api.GET('/audit', { params: { query: { limit: LIMIT } } })),
  });
  return (
    <Card title={words.stream.historyTitle} note={words.stream.historyHelp} isFlush>
      <Loaded query={query}>
        {({ data }) => {
          const own = data.filter((entry) => entry.target === stream.id);
          return own.length === 0 ? (
            <Empty icon="audit" title={words.stream.historyNone} />
          ) : (
            <AuditTable entries={own} />
          );
        }}
      </Loaded>
    </Card>
  );
}
