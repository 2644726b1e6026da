import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Session, type Stream } from '../api/client';
import { may, sessionsQuery, useMe } from '../api/queries';
import { ago } from '../lib/format';
import { useNow } from '../lib/now';
import { Button, Card, Confirm, Empty, Loaded } from '../ui/kit';
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
    <Card title={words.stream.viewersTitle} isFlush>
      <Loaded query={query}>
        {(sessions) =>
          sessions.length === 0 ? (
            <Empty icon="users" title={words.stream.noViewers}>
              {words.stream.noViewersHelp}
            </Empty>
          ) : (
            <div className="table-wrap">
              <table className="table cards">
                <thead>
                  <tr>
                    <th>{words.stream.viewer}</th>
                    <th>{words.stream.address}</th>
                    <th>{words.stream.protocol}</th>
                    <th>{words.stream.since}</th>
                    <th>{words.stream.facts.node}</th>
                    {mayKick && (
                      <th>
                        <span className="visually-hidden">{words.common.actions}</span>
                      </th>
                    )}
                  </tr>
                </thead>
                <tbody>
                  {sessions.map((session) => (
                    <tr key={session.id}>
                      <td className="title">{session.sub || session.id}</td>
                      <td data-label={words.stream.address}>{session.address}</td>
                      <td data-label={words.stream.protocol} className="mono">
                        {session.protocol}
                      </td>
                      <td data-label={words.stream.since} className="nowrap">
                        {ago(session.since, now)}
                      </td>
                      <td data-label={words.stream.facts.node}>{session.node}</td>
                      {mayKick && (
                        <td data-label="" className="end">
                          <Button size="small" tone="danger" onPress={() => setKicked(session)}>
                            {words.stream.kick}
                          </Button>
                        </td>
                      )}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
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
          await ask(api.DELETE('/sessions/{session}', { params: { path: { session: kicked.id } } }));
          client.setQueryData<Session[]>(key, (rows) => rows?.filter((row) => row.id !== kicked.id));
          say(words.stream.wasKicked);
        }}
      />
    </Card>
  );
}
