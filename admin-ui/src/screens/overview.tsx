import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Stream } from '../api/client';
import { useTold } from '../api/events';
import { isRunning, may, nodesQuery, streamsQuery, tenantQuery, useMe } from '../api/queries';
import { ago, bits, whole } from '../lib/format';
import { useNow } from '../lib/now';
import { EventsList } from '../ui/events_list';
import { Card, Empty, Loaded, PageHead, Skeletons, StateBadge } from '../ui/kit';
import { type Load, QuotaBars } from '../ui/quotas';
import { Table } from '../ui/table';
import { Warnings } from '../ui/warnings';
import { words } from '../words';
import { CreateStream } from './create_stream';

const EVERY_MS = 5_000;
/** Streams that the page names. */
const NAMED = 8;

export function loadOf(streams: readonly Stream[]): Load {
  const running = streams.filter((stream) => stream.state === 'live' || stream.state === 'stalled');
  return {
    streams: running.length,
    viewers: streams.reduce((sum, stream) => sum + stream.viewers, 0),
    ingestBps: running.reduce((sum, stream) => sum + stream.bitrate, 0),
    egressBps: running.reduce((sum, stream) => sum + stream.bitrate * stream.viewers, 0),
  };
}

export function Overview() {
  const me = useMe();
  const streams = useQuery({ ...streamsQuery, refetchInterval: EVERY_MS });
  return (
    <>
      <PageHead title={words.overview.title} lead={words.overview.lead}>
        {may(me, 'operator') && <CreateStream />}
      </PageHead>
      {streams.data ? <Tiles streams={streams.data} /> : null}
      <div className="grid-live">
        <div className="stack">
          <LiveNow query={streams} />
          {streams.data && <Attention streams={streams.data} />}
        </div>
        <div className="stack">
          {me.tenant && streams.data && <Quotas id={me.tenant} load={loadOf(streams.data)} />}
          <Happened streams={streams.data ?? []} />
        </div>
      </div>
    </>
  );
}

function Tiles({ streams }: { streams: readonly Stream[] }) {
  const me = useMe();
  const isPlatform = may(me, 'platform');
  const { data: nodes } = useQuery({ ...nodesQuery, enabled: isPlatform });
  const load = loadOf(streams);
  const ready = nodes?.data.filter((node) => node.state === 'ready').length;
  return (
    <dl className="tiles">
      <Tile
        name={words.overview.liveStreams}
        value={whole(load.streams)}
        note={words.overview.of(streams.length)}
      />
      <Tile name={words.overview.viewers} value={whole(load.viewers)} />
      <Tile name={words.overview.ingest} value={bits(load.ingestBps)} />
      <Tile name={words.overview.egress} value={bits(load.egressBps)} note={words.overview.egressHint} />
      {nodes && ready !== undefined && (
        <Tile name={words.overview.nodes} value={words.overview.ready(ready, nodes.data.length)} />
      )}
    </dl>
  );
}

function Tile({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div className="card tile">
      <dt>{name}</dt>
      <dd>
        {value} {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

interface StreamsAsked {
  data: Stream[] | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

function LiveNow({ query }: { query: StreamsAsked }) {
  const now = useNow();
  return (
    <Card title={words.overview.liveNow} isFlush>
      <Loaded query={query} rows={3}>
        {(streams) => {
          const live = streams.filter(isRunning);
          if (streams.length === 0) {
            return (
              <Empty icon="streams" title={words.overview.first}>
                {words.overview.firstHelp}
              </Empty>
            );
          }
          if (live.length === 0) {
            return (
              <Empty
                icon="streams"
                title={words.overview.nothingLive}
                action={<Link to="/streams">{words.overview.toStreams}</Link>}
              >
                {words.overview.nothingLiveHelp}
              </Empty>
            );
          }
          return (
            <Table
              rows={live.slice(0, NAMED)}
              keyOf={(stream) => stream.id}
              columns={[
                {
                  title: words.streams.columns.name,
                  kind: 'title',
                  cell: ({ id, name }) => (
                    <Link to="/streams/$id" params={{ id }}>
                      {name}
                    </Link>
                  ),
                },
                {
                  title: words.streams.columns.state,
                  kind: 'nowrap',
                  cell: ({ state, since }) => (
                    <span>
                      <StateBadge state={state} /> <span className="muted">{since && ago(since, now)}</span>
                    </span>
                  ),
                },
                {
                  title: words.streams.columns.viewers,
                  kind: 'number',
                  cell: (stream) => whole(stream.viewers),
                },
                {
                  title: words.streams.columns.bitrate,
                  kind: 'number',
                  cell: (stream) => bits(stream.bitrate),
                },
              ]}
            />
          );
        }}
      </Loaded>
    </Card>
  );
}

function Attention({ streams }: { streams: readonly Stream[] }) {
  const warned = streams.filter((stream) => stream.warnings.length > 0).slice(0, NAMED);
  if (loadOf(streams).streams === 0) return null;
  return (
    <Card title={words.overview.attention}>
      {warned.length === 0 ? (
        <p className="muted">{words.overview.allGood}</p>
      ) : (
        warned.map((stream) => <Warnings key={stream.id} stream={stream} title={stream.name} />)
      )}
    </Card>
  );
}

function Quotas({ id, load }: { id: string; load: Load }) {
  const { data: tenant } = useQuery(tenantQuery(id));
  return (
    <Card title={words.overview.quotas}>
      {tenant ? <QuotaBars tenant={tenant} load={load} /> : <Skeletons rows={3} />}
    </Card>
  );
}

function Happened({ streams }: { streams: readonly Stream[] }) {
  const told = useTold();
  return (
    <Card title={words.overview.events}>
      {told.length === 0 ? (
        <p className="muted">{words.overview.noEvents}</p>
      ) : (
        <EventsList told={told.slice(0, NAMED)} streams={streams} />
      )}
    </Card>
  );
}
