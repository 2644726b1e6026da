import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiError, api, ask, type Session, type Stream } from '../api/client';
import { may, sessionsQuery, useMe } from '../api/queries';
import { ago, whole } from '../lib/format';
import { useNow } from '../lib/now';
import { Button, Card, Confirm, Empty, Loaded } from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

export function ViewersTab({ stream }: { stream: Stream }) {
  const me = useMe();
  const now = useNow();
  const client = useQueryClient();
  const query = useQuery(sessionsQuery(stream.id));
  const [kicked, setKicked] = useState<Session>();
  const mayKick = may(me, 'operator');
  const key = ['stream', stream.id, 'sessions'];
  return (
    <div className="stack">
      <ByNode stream={stream} />
      <Card title={words.stream.viewersTitle} isFlush>
        <Loaded query={query}>
          {(sessions) =>
            sessions.length === 0 ? (
              <Empty icon="users" title={words.stream.noViewers}>
                {words.stream.noViewersHelp}
              </Empty>
            ) : (
              <Table
                rows={sessions}
                keyOf={(session) => session.id}
                columns={[
                  { title: words.stream.viewer, kind: 'title', cell: (session) => session.sub || session.id },
                  { title: words.stream.address, cell: (session) => session.address },
                  { title: words.stream.protocol, kind: 'mono', cell: (session) => session.protocol },
                  { title: words.stream.since, kind: 'nowrap', cell: (session) => ago(session.since, now) },
                  { title: words.stream.facts.node, cell: (session) => session.node },
                  { title: words.stream.gets, cell: (session) => words.stream.rungs[session.rung] },
                  {
                    title: words.stream.dropped,
                    kind: 'number',
                    cell: (session) => whole(session.frames_dropped),
                  },
                  ...actions<Session>(mayKick, (session) => (
                    <Button size="small" tone="danger" onPress={() => setKicked(session)}>
                      {words.stream.kick}
                    </Button>
                  )),
                ]}
              />
            )
          }
        </Loaded>
        <Confirm
          title={words.stream.kickTitle(kicked?.sub || kicked?.id || '')}
          help={words.stream.kickHelp}
          action={words.stream.kick}
          isOpen={kicked !== undefined}
          onClose={() => setKicked(undefined)}
          onConfirm={async () => {
            if (!kicked) return;
            const isGone = await kick(kicked.id);
            client.setQueryData<Session[]>(key, (rows) => rows?.filter((row) => row.id !== kicked.id));
            say(isGone ? words.stream.wasGone : words.stream.wasKicked);
          }}
        />
      </Card>
    </div>
  );
}

/** True where the viewer had left by then. */
async function kick(session: string): Promise<boolean> {
  try {
    await ask(api.DELETE('/sessions/{session}', { params: { path: { session } } }));
    return false;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return true;
    throw error;
  }
}

/** Which node serves how many, the busiest first. */
export function byNode(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a, many], [b, more]) => more - many || a.localeCompare(b));
}

function ByNode({ stream }: { stream: Stream }) {
  const nodes = byNode(stream.viewers_by_node);
  if (nodes.length === 0) return null;
  return (
    <Card title={words.stream.byNode} note={words.stream.byNodeHelp}>
      {nodes.map(([node, count]) => (
        <div className="quota-row" key={node}>
          <div>
            <span className="break">{node}</span>
            <span className="muted">{whole(count)}</span>
          </div>
          <progress className="bar" aria-label={node} max={Math.max(stream.viewers, count)} value={count} />
        </div>
      ))}
    </Card>
  );
}
