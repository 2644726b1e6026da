import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useMemo, useRef } from 'react';
import type { Stream } from '../api/client';
import { isRunning, may, STREAMS_MAX, searchQuery, streamsQuery, useMe } from '../api/queries';
import { bits, whole } from '../lib/format';
import { Button, Card, Choose, Empty, Field, Loaded, Notice, PageHead, StateBadge } from '../ui/kit';
import { words } from '../words';
import { CreateStream } from './create_stream';

const EVERY_MS = 10_000;
const ROW_PX = 64;
const route = getRouteApi('/streams');

const STATES = [
  { id: 'any', text: words.streams.anyState },
  { id: 'live', text: words.streams.live },
  { id: 'offline', text: words.streams.offline },
] as const;

const POLICIES = [
  { id: 'any', text: words.streams.anyPolicy },
  { id: 'signed', text: words.streams.signed },
  { id: 'public', text: words.streams.public },
] as const;

interface Filter {
  q?: string | undefined;
  state?: string | undefined;
  policy?: string | undefined;
}

export function matches(stream: Stream, { q, state, policy }: Filter): boolean {
  if (state === 'live' && !isRunning(stream)) return false;
  if (state === 'offline' && isRunning(stream)) return false;
  if ((policy === 'signed' || policy === 'public') && stream.policy !== policy) return false;
  const wanted = (q ?? '').trim().toLowerCase();
  if (wanted === '') return true;
  const labels = Object.entries(stream.labels).flat();
  return [stream.name, stream.id, stream.playback_id, ...labels].some((text) =>
    text.toLowerCase().includes(wanted),
  );
}

export function Streams() {
  const me = useMe();
  const query = useQuery({ ...streamsQuery, refetchInterval: EVERY_MS });
  return (
    <>
      <PageHead title={words.streams.title} lead={words.streams.lead}>
        {may(me, 'operator') && <CreateStream />}
      </PageHead>
      <Card isFlush>
        <Loaded query={query}>
          {(streams) =>
            streams.length === 0 ? (
              <Empty icon="streams" title={words.streams.noneTitle}>
                {words.streams.noneHelp}
              </Empty>
            ) : (
              <Found streams={streams} />
            )
          }
        </Loaded>
      </Card>
    </>
  );
}

function Found({ streams }: { streams: readonly Stream[] }) {
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const set = (change: Filter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const { q, state, policy } = useDeferredValue(filter);
  const isTruncated = streams.length >= STREAMS_MAX;
  const beyond = useQuery({
    ...searchQuery(isTruncated ? (q ?? '').trim() : ''),
    select: ({ data }) => data,
  });
  const found = useMemo(() => {
    const known = new Set(streams.map(({ id }) => id));
    const all = [...streams, ...(beyond.data ?? []).filter(({ id }) => !known.has(id))];
    return all.filter((stream) => matches(stream, { q, state, policy }));
  }, [streams, beyond.data, q, state, policy]);
  const pick = (id: string) => (id === 'any' ? undefined : id);
  return (
    <>
      <div className="card-body">
        <div className="filters">
          <div className="grow">
            <Field
              label={words.streams.search}
              type="search"
              value={filter.q ?? ''}
              onChange={(text) => set({ q: text === '' ? undefined : text })}
            />
          </div>
          <Choose
            label={words.streams.state}
            choices={STATES}
            value={STATES.find(({ id }) => id === filter.state)?.id ?? 'any'}
            onChange={(id) => set({ state: pick(id) })}
          />
          <Choose
            label={words.streams.policy}
            choices={POLICIES}
            value={POLICIES.find(({ id }) => id === filter.policy)?.id ?? 'any'}
            onChange={(id) => set({ policy: pick(id) })}
          />
        </div>
        <p className="hint" role="status">
          {words.streams.count(found.length, streams.length)}
        </p>
        {isTruncated && (
          <Notice tone="info">
            {beyond.isFetching ? words.streams.searching : words.streams.truncated(STREAMS_MAX)}
          </Notice>
        )}
      </div>
      {found.length === 0 ? (
        <Empty
          icon="search"
          title={words.streams.noMatchTitle}
          action={
            <Button onPress={() => void navigate({ search: (before) => ({ tenant: before.tenant }) })}>
              {words.streams.clear}
            </Button>
          }
        >
          {words.streams.noMatchHelp}
        </Empty>
      ) : (
        <Rows streams={found} />
      )}
    </>
  );
}

/** Only the rows in view are in the page. */
function Rows({ streams }: { streams: readonly Stream[] }) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: streams.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    getItemKey: (at) => streams[at]?.id ?? at,
  });
  const { columns } = words.streams;
  return (
    <>
      <div className="list-head" aria-hidden="true">
        <span>{columns.name}</span>
        <span>{columns.state}</span>
        <span className="number">{columns.viewers}</span>
        <span className="number">{columns.bitrate}</span>
        <span>{columns.policy}</span>
      </div>
      <div className="list" ref={box} style={{ height: Math.min(streams.length * ROW_PX + 1, 704) }}>
        <ul className="list-inner" style={{ height: rows.getTotalSize() }} aria-label={words.streams.title}>
          {rows.getVirtualItems().map((item) => {
            const stream = streams[item.index];
            return (
              stream && (
                <li key={item.key} aria-setsize={streams.length} aria-posinset={item.index + 1}>
                  <Row stream={stream} top={item.start} />
                </li>
              )
            );
          })}
        </ul>
      </div>
    </>
  );
}

function Row({ stream, top }: { stream: Stream; top: number }) {
  const isLive = isRunning(stream);
  const labels = Object.entries(stream.labels).map(([key, value]) => `${key}=${value}`);
  return (
    <Link
      to="/streams/$id"
      params={{ id: stream.id }}
      className="stream-row"
      style={{ transform: `translateY(${top}px)` }}
      preload={false}
    >
      <span className="stream-name">
        <b>{stream.name}</b>
        <span>{[stream.id, ...labels].join(' · ')}</span>
      </span>
      <span>
        <StateBadge state={stream.state} />
      </span>
      <span className="number optional">{isLive ? whole(stream.viewers) : '–'}</span>
      <span className="number optional">{isLive ? bits(stream.bitrate) : '–'}</span>
      <span className="optional muted">
        {stream.policy === 'public' ? words.streams.public : words.streams.signed}
      </span>
    </Link>
  );
}
