import { Link } from '@tanstack/react-router';
import type { Stream } from '../api/client';
import type { Told } from '../api/events';
import { clock } from '../lib/format';
import { words } from '../words';

/** What happened, newest first; `streams` gives names to ids. */
export function EventsList({ told, streams }: { told: readonly Told[]; streams: readonly Stream[] }) {
  return (
    <ul className="feed">
      {told.map((one) => {
        const stream = streams.find((stream) => stream.id === one.data.stream);
        return (
          <li key={one.id}>
            <time dateTime={one.timestamp}>{clock(one.timestamp)}</time>
            <span>
              {stream && (
                <Link to="/streams/$id" params={{ id: stream.id }}>
                  {stream.name}
                </Link>
              )}{' '}
              {words.events[one.type] ?? one.type}
              {one.data.message && `: ${one.data.message}`}
              {one.data.quota && `: ${words.quotaNames[one.data.quota] ?? one.data.quota}`}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
