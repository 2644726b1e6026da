import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState } from 'react';
import { api, ask, type Stream } from '../api/client';
import { isRunning, may, streamQuery, useMe } from '../api/queries';
import { ago, bits, codecName, dateTime, whole } from '../lib/format';
import { type Point, useHealth } from '../lib/health';
import { useNow } from '../lib/now';
import { Graph } from '../ui/graph';
import { Badge, Button, Card, Confirm, Loaded, Notice, PageHead, StateBadge } from '../ui/kit';
import { Preview } from '../ui/preview';
import { say } from '../ui/toast';
import { Warnings } from '../ui/warnings';
import { words } from '../words';
import { HistoryTab } from './stream_history';
import { PublishTab } from './stream_publish';
import { SettingsTab } from './stream_settings';
import { ViewersTab } from './stream_viewers';
import { WatchTab } from './stream_watch';

const TABS = ['live', 'publish', 'watch', 'viewers', 'settings', 'history'] as const;
type Tab = (typeof TABS)[number];

const route = getRouteApi('/streams/$id');

export function StreamScreen() {
  const { id } = route.useParams();
  const query = useQuery(streamQuery(id));
  return (
    <Loaded query={query} isPage>
      {(stream) => <Shown key={id} stream={stream} updatedAt={query.dataUpdatedAt} />}
    </Loaded>
  );
}

function Shown({ stream, updatedAt }: { stream: Stream; updatedAt: number }) {
  const me = useMe();
  const search = route.useSearch();
  const tabs = TABS.filter((tab) => tab !== 'settings' || may(me, 'operator'));
  const tab: Tab = tabs.find((tab) => tab === search.tab) ?? 'live';
  const now = useNow();
  const bar = useRef<HTMLElement>(null);
  // On a phone the chosen one may lie beyond the edge.
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the tab changes
  useEffect(() => {
    const chosen = bar.current?.querySelector<HTMLElement>('[aria-current]');
    if (bar.current && chosen) bar.current.scrollLeft = chosen.offsetLeft - bar.current.offsetLeft - 40;
  }, [tab]);
  const latency = useRef<number>(undefined);
  const points = useHealth(stream, updatedAt, latency);
  const onLatency = useCallback((ms: number | undefined) => {
    latency.current = ms;
  }, []);
  return (
    <>
      <PageHead
        crumb={<Link to="/streams">{words.streams.title}</Link>}
        title={stream.name}
        lead={
          <>
            <StateBadge state={stream.state} />{' '}
            {stream.since && <span title={dateTime(stream.since)}>{ago(stream.since, now)}</span>}{' '}
            <Badge>{stream.policy === 'public' ? words.streams.public : words.streams.signed}</Badge>
          </>
        }
      >
        {may(me, 'operator') && isRunning(stream) && <Disconnect stream={stream} />}
      </PageHead>
      <nav className="tabs" aria-label={words.stream.tabsLabel} ref={bar}>
        {tabs.map((name) => (
          <Link
            key={name}
            to="/streams/$id"
            params={{ id: stream.id }}
            search={(before) => ({ ...before, ...(name === 'live' ? { tab: undefined } : { tab: name }) })}
            replace
            data-active={name === tab}
            aria-current={name === tab ? 'page' : undefined}
          >
            {words.stream.tabs[name]}
            {name === 'viewers' && stream.viewers > 0 && ` (${whole(stream.viewers)})`}
          </Link>
        ))}
      </nav>
      {tab === 'live' && <LiveTab stream={stream} points={points} onLatency={onLatency} />}
      {tab === 'publish' && <PublishTab stream={stream} />}
      {tab === 'watch' && <WatchTab stream={stream} />}
      {tab === 'viewers' && <ViewersTab stream={stream} />}
      {tab === 'settings' && <SettingsTab stream={stream} />}
      {tab === 'history' && <HistoryTab stream={stream} />}
    </>
  );
}

interface LiveProps {
  stream: Stream;
  points: readonly Point[];
  onLatency: (ms: number | undefined) => void;
}

function LiveTab({ stream, points, onLatency }: LiveProps) {
  return (
    <div className="grid-live">
      <div className="stack">
        <section className="card" aria-label={words.stream.preview}>
          <Preview stream={stream} onLatency={onLatency} />
        </section>
        <Card title={words.stream.health} note={words.stream.healthHelp}>
          <Graphs points={points} />
        </Card>
      </div>
      <div className="stack">
        {stream.state === 'live' && (
          <Card title={words.stream.healthTitle}>
            {stream.warnings.length === 0 ? (
              <Notice tone="good">{words.stream.healthy}</Notice>
            ) : (
              <Warnings stream={stream} />
            )}
          </Card>
        )}
        <Facts stream={stream} />
      </div>
    </div>
  );
}

function Facts({ stream }: { stream: Stream }) {
  const { facts } = words.stream;
  const { video, audio, qoe } = stream;
  const size = video?.width && video.height ? `${video.width} × ${video.height}` : '';
  return (
    <Card title={words.stream.facts.title}>
      <dl className="facts">
        <dt>{facts.state}</dt>
        <dd>
          <StateBadge state={stream.state} />
        </dd>
        {stream.since && (
          <>
            <dt>{facts.since}</dt>
            <dd>{dateTime(stream.since)}</dd>
          </>
        )}
        <dt>{words.streams.columns.viewers}</dt>
        <dd data-testid="viewers">{whole(stream.viewers)}</dd>
        {video && (
          <>
            <dt>{facts.video}</dt>
            <dd>
              {[codecName(video.codec), size, bits(video.bitrate)].filter(Boolean).join(' · ')}
              {stream.fps != null && ` · ${stream.fps.toFixed(1)} fps`}
            </dd>
          </>
        )}
        {audio && (
          <>
            <dt>{facts.audio}</dt>
            <dd>
              {[
                codecName(audio.codec),
                audio.sample_rate ? `${audio.sample_rate / 1000} kHz` : '',
                bits(audio.bitrate),
              ]
                .filter(Boolean)
                .join(' · ')}
            </dd>
          </>
        )}
        {stream.node && (
          <>
            <dt>{facts.node}</dt>
            <dd>{stream.node}</dd>
          </>
        )}
        {qoe?.latency_ms_p50 != null && qoe.latency_ms_p95 != null && (
          <>
            <dt>{facts.latency}</dt>
            <dd>{facts.latencyOf(qoe.latency_ms_p50, qoe.latency_ms_p95)}</dd>
          </>
        )}
        {qoe?.stall_ratio != null && (
          <>
            <dt>{facts.stalls}</dt>
            <dd>{facts.stallsOf(qoe.stall_ratio)}</dd>
          </>
        )}
        <dt>{facts.playback}</dt>
        <dd className="mono">{stream.playback_id}</dd>
        <dt>{facts.id}</dt>
        <dd className="mono">{stream.id}</dd>
        {Object.keys(stream.labels).length > 0 && (
          <>
            <dt>{facts.labels}</dt>
            <dd>
              {Object.entries(stream.labels)
                .map(([key, value]) => `${key}=${value}`)
                .join(', ')}
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function Graphs({ points }: { points: readonly Point[] }) {
  if (points.length === 0) return <p className="muted">{words.stream.noHealth}</p>;
  const last = points.at(-1);
  const times = points.map((point) => point.at);
  const { graphs } = words.stream;
  const ms = (value: number) => `${Math.round(value)} ms`;
  const graph = (
    name: string,
    of: (point: Point) => number | null,
    show: (value: number) => string,
    atLeast: number,
  ) => {
    const now = last ? of(last) : null;
    const series = { times, values: points.map(of) };
    return (
      <Graph
        key={name}
        name={name}
        now={now === null ? '–' : show(now)}
        series={series}
        show={show}
        atLeast={atLeast}
      />
    );
  };
  return (
    <div className="graphs">
      {graph(graphs.bitrate, (point) => point.bitrate, bits, 100_000)}
      {graph(
        graphs.fps,
        (point) => point.fps,
        (value) => value.toFixed(value % 1 === 0 ? 0 : 1),
        10,
      )}
      {graph(
        graphs.gop,
        (point) => point.gop,
        (value) => `${value.toFixed(1)} s`,
        1,
      )}
      {graph(
        graphs.viewers,
        (point) => point.viewers,
        (value) => (Number.isInteger(value) ? whole(value) : ''),
        4,
      )}
      {graph(graphs.skew, (point) => point.skew, ms, 50)}
      {graph(graphs.drift, (point) => point.drift, ms, 50)}
      {graph(
        graphs.drops,
        (point) => point.drops,
        (value) => (Number.isInteger(value) ? whole(value) : ''),
        4,
      )}
      {graph(graphs.viewersLatency, (point) => point.viewersLatency, ms, 200)}
      {graph(graphs.latency, (point) => point.latency, ms, 200)}
    </div>
  );
}

function Disconnect({ stream }: { stream: Stream }) {
  const [isAsking, setAsking] = useState(false);
  const path = { stream: stream.id };
  return (
    <>
      <Button tone="danger" onPress={() => setAsking(true)}>
        {words.stream.disconnect}
      </Button>
      <Confirm
        title={words.stream.disconnectTitle}
        help={words.stream.disconnectHelp}
        action={words.stream.disconnect}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={async () => {
          await ask(api.POST('/streams/{stream}/disconnect', { params: { path } }));
          say(words.stream.disconnected);
        }}
      />
    </>
  );
}
