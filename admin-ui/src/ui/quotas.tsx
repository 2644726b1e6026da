import type { Tenant } from '../api/client';
import { bits, whole } from '../lib/format';
import { words } from '../words';

export interface Load {
  streams: number;
  viewers: number;
  ingestBps: number;
  egressBps: number;
}

/** How much of a tenant's limits is in use. */
export function QuotaBars({ tenant, load }: { tenant: Tenant; load: Load }) {
  const { quotas } = tenant;
  const rows = [
    { name: words.usage.streams, now: load.streams, most: number(quotas.streams), show: whole },
    { name: words.usage.viewers, now: load.viewers, most: number(quotas.viewers), show: whole },
    { name: words.usage.ingestRate, now: load.ingestBps, most: number(quotas.ingest_bps), show: bits },
    { name: words.usage.egressRate, now: load.egressBps, most: number(quotas.egress_bps), show: bits },
  ];
  return (
    <>
      {rows.map(({ name, now, most, show }) => (
        <div className="quota-row" key={name}>
          <div>
            <span>{name}</span>
            <span className="muted">
              {show(now)} / {most === null ? words.usage.unlimited : show(most)}
            </span>
          </div>
          {most !== null && (
            <progress
              className={`bar${now >= most ? ' full' : ''}`}
              aria-label={name}
              max={Math.max(most, 1)}
              value={Math.min(now, most)}
            />
          )}
        </div>
      ))}
    </>
  );
}

const number = (limit: number | string | null | undefined): number | null =>
  limit === null || limit === undefined ? null : Number(limit);
