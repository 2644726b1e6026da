import type { Stream } from '../api/client';
import { words } from '../words';
import { Notice } from './kit';

/** What viewers would feel, and what to do about it. */
export function Warnings({ stream, title }: { stream: Stream; title?: string }) {
  return (
    <>
      {stream.warnings.map(({ code, message }) => {
        const [what, todo] = words.stream.warnings[code] ?? [message, ''];
        return (
          <Notice key={code}>
            <p className="strong">{title ? `${title}: ${what}` : what}</p>
            <p>
              {message.charAt(0).toUpperCase()}
              {message.slice(1)}. {todo}
            </p>
          </Notice>
        );
      })}
    </>
  );
}
