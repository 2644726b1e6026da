import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type AuditEntry, api, ask } from '../api/client';
import { apiKeysQuery, may, useMe, usersQuery } from '../api/queries';
import { dateTime } from '../lib/format';
import { Badge, Button, Card, Check, Empty, Field, Loaded, PageHead } from '../ui/kit';
import { Table } from '../ui/table';
import { words } from '../words';

const LIMIT = 100;
const route = getRouteApi('/audit');

export function Audit() {
  const { q = '', outcome } = route.useSearch();
  const navigate = route.useNavigate();
  const nameOf = useNames();
  const query = useInfiniteQuery({
    queryKey: ['audit', 'all'],
    initialPageParam: '',
    queryFn: ({ pageParam: cursor }) =>
      ask(api.GET('/audit', { params: { query: { limit: LIMIT, ...(cursor ? { cursor } : {}) } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 15_000,
  });
  const wanted = q.trim().toLowerCase();
  const isFound = (entry: AuditEntry) =>
    (outcome !== 'refused' || entry.outcome === 'refused') &&
    [entry.actor, nameOf(entry.actor), entry.action, entry.target, entry.address ?? ''].some((text) =>
      text.toLowerCase().includes(wanted),
    );
  return (
    <>
      <PageHead title={words.audit.title} lead={words.audit.lead} />
      <Card isFlush>
        <div className="card-body">
          <div className="filters">
            <div className="grow">
              <Field
                label={words.audit.filter}
                type="search"
                value={q}
                onChange={(text) =>
                  void navigate({
                    search: (before) => ({ ...before, q: text === '' ? undefined : text }),
                    replace: true,
                  })
                }
              />
            </div>
            <Check
              isSelected={outcome === 'refused'}
              onChange={(is) =>
                void navigate({
                  search: (before) => ({ ...before, outcome: is ? 'refused' : undefined }),
                  replace: true,
                })
              }
            >
              {words.audit.onlyRefused}
            </Check>
          </div>
        </div>
        <Loaded query={query} rows={8}>
          {({ pages }) => {
            const found = pages.flatMap((page) => page.data).filter(isFound);
            return found.length === 0 ? (
              <Empty icon="audit" title={words.audit.none}>
                {words.audit.noneHelp}
              </Empty>
            ) : (
              <AuditTable entries={found} />
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
    </>
  );
}

/** Names in place of ids, as far as one may know them. */
function useNames(): (actor: string) => string {
  const me = useMe();
  const enabled = may(me, 'owner');
  const { data: users } = useQuery({ ...usersQuery, enabled });
  const { data: keys } = useQuery({ ...apiKeysQuery, enabled });
  return (actor) => {
    if (actor === 'system') return words.audit.system;
    if (actor === 'admin_key') return words.audit.adminKey;
    if (actor === 'unknown') return words.audit.someone;
    return (
      users?.find((user) => user.id === actor)?.name ?? keys?.find((key) => key.id === actor)?.name ?? actor
    );
  };
}

export function AuditTable({ entries }: { entries: readonly AuditEntry[] }) {
  const nameOf = useNames();
  return (
    <Table
      rows={entries}
      keyOf={(entry) => entry.seq}
      columns={[
        { title: words.audit.action, kind: 'mono title', cell: (entry) => entry.action },
        { title: words.audit.actor, cell: (entry) => nameOf(entry.actor) },
        { title: words.audit.target, cell: (entry) => <span className="mono-wrap">{entry.target}</span> },
        { title: words.audit.address, cell: (entry) => entry.address ?? '–' },
        { title: words.audit.time, cell: (entry) => dateTime(entry.at) },
        {
          title: words.audit.outcome,
          cell: ({ outcome }) => (
            <Badge tone={outcome === 'done' ? 'good' : 'bad'}>
              {words.audit.outcomes[outcome] ?? outcome}
            </Badge>
          ),
        },
        {
          title: words.audit.details,
          cell: (entry) =>
            entry.before || entry.after ? (
              <details className="more">
                <summary>{words.audit.details}</summary>
                <pre>{shown(entry)}</pre>
              </details>
            ) : (
              '–'
            ),
        },
      ]}
    />
  );
}

function shown({ before, after }: AuditEntry): string {
  const parts = [
    before ? `${words.audit.before}: ${JSON.stringify(before, null, 1)}` : '',
    after ? `${words.audit.after}: ${JSON.stringify(after, null, 1)}` : '',
  ];
  return parts.filter(Boolean).join('\n');
}
