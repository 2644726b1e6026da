import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { all, api, ask, type Usage } from '../api/client';
import { streamsQuery, tenantQuery, useMe } from '../api/queries';
import { bytes, whole } from '../lib/format';
import { Graph } from '../ui/graph';
import { Card, Choose, Empty, Loaded, PageHead, Skeletons } from '../ui/kit';
import { NeedTenant } from '../ui/need_tenant';
import { QuotaBars } from '../ui/quotas';
import { words } from '../words';
import { loadOf } from './overview';

const HOUR_MS = 3_600_000;
const HOURS = { day: 24, week: 168, month: 672 } as const;
type Range = keyof typeof HOURS;

const RANGES = (Object.keys(HOURS) as Range[]).map((id) => ({ id, text: words.usage.ranges[id] ?? id }));
const route = getRouteApi('/usage');

export function UsageScreen() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const range = RANGES.find(({ id }) => id === search.range)?.id ?? 'day';
  return (
    <>
      <PageHead title={words.usage.title} lead={words.usage.lead}>
        <Choose
          label={words.usage.range}
          isHiddenLabel
          choices={RANGES}
          value={range}
          onChange={(id) => void navigate({ search: (before) => ({ ...before, range: id }), replace: true })}
        />
      </PageHead>
      <NeedTenant help={words.usage.chooseTenantHelp}>
        <Used range={range} />
      </NeedTenant>
    </>
  );
}

/** Every hour of the range, also those in which nothing was used. */
export function byHour(rows: readonly Usage[], hours: number, now: number) {
  const known = new Map(rows.map((row) => [new Date(row.from).getTime(), row]));
  const last = Math.floor(now / HOUR_MS) * HOUR_MS;
  return Array.from({ length: hours }, (_, at) => {
    const start = last - (hours - 1 - at) * HOUR_MS;
    const row = known.get(start);
    return {
      at: start / 1000,
      ingest: Number(row?.ingest_bytes ?? 0),
      egress: Number(row?.egress_bytes ?? 0),
      minutes: row?.viewer_minutes ?? 0,
    };
  });
}

function Used({ range }: { range: Range }) {
  const me = useMe();
  const query = useQuery({
    queryKey: ['usage', range],
    queryFn: () => {
      const from = new Date(Date.now() - HOURS[range] * HOUR_MS).toISOString();
      return all<Usage>(HOURS.month, (cursor) =>
        ask(api.GET('/usage', { params: { query: { from, ...(cursor ? { cursor } : {}) } } })),
      );
    },
    refetchInterval: 60_000,
  });
  return (
    <div className="grid-live">
      <Card isFlush>
        <Loaded query={query}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty icon="usage" title={words.usage.none}>
                {words.usage.noneHelp}
              </Empty>
            ) : (
              <Graphs rows={rows} hours={HOURS[range]} />
            )
          }
        </Loaded>
      </Card>
      {me.tenant && <Quotas id={me.tenant} />}
    </div>
  );
}

function Graphs({ rows, hours }: { rows: readonly Usage[]; hours: number }) {
  const points = byHour(rows, hours, Date.now());
  const times = points.map((point) => point.at);
  const sum = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((total, point) => total + of(point), 0);
  const graphs = [
    {
      name: words.usage.egress,
      of: (point: (typeof points)[number]) => point.egress,
      show: bytes,
      atLeast: 1_000,
    },
    {
      name: words.usage.ingest,
      of: (point: (typeof points)[number]) => point.ingest,
      show: bytes,
      atLeast: 1_000,
    },
    {
      name: words.usage.minutes,
      of: (point: (typeof points)[number]) => point.minutes,
      show: (value: number) => whole(Math.round(value)),
      atLeast: 10,
    },
  ];
  return (
    <div className="card-body">
      {graphs.map(({ name, of, show, atLeast }) => (
        <Graph
          key={name}
          name={name}
          now={show(sum(of))}
          series={{ times, values: points.map(of) }}
          show={show}
          atLeast={atLeast}
        />
      ))}
    </div>
  );
}

function Quotas({ id }: { id: string }) {
  const { data: tenant } = useQuery(tenantQuery(id));
  const { data: streams } = useQuery(streamsQuery);
  return (
    <Card title={words.usage.quotas}>
      {tenant && streams ? <QuotaBars tenant={tenant} load={loadOf(streams)} /> : <Skeletons rows={3} />}
    </Card>
  );
}
