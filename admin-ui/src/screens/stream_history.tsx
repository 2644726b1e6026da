import { useQuery } from '@tanstack/react-query';
import { api, ask, type Stream } from '../api/client';
import { useTold } from '../api/events';
import { may, useMe } from '../api/queries';
import { EventsList } from '../ui/events_list';
import { Card, Empty, Loaded } from '../ui/kit';
import { words } from '../words';
import { AuditTable } from './audit';

/** Pages of the audit that are looked through. */
const LIMIT = 100;

export function HistoryTab({ stream }: { stream: Stream }) {
  const me = useMe();
  const told = useTold().filter((one) => one.data.stream === stream.id);
  return (
    <div className="stack">
      <Card title={words.stream.liveHistory}>
        {told.length === 0 ? (
          <p className="muted">{words.stream.liveHistoryNone}</p>
        ) : (
          <EventsList told={told} streams={[stream]} />
        )}
      </Card>
      {may(me, 'owner') ? <Changes stream={stream} /> : <p className="muted">{words.stream.ownerOnly}</p>}
    </div>
  );
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
