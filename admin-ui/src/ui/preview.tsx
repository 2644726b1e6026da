/** The stream as its viewers see it, by our own player. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Engine, type EngineError, type EngineState, type Stats } from 'weir-player/engine';
import { api, ask, type Stream } from '../api/client';
import { isRunning, may, useMe } from '../api/queries';
import { words } from '../words';
import { Button } from './kit';

const LOOK_EVERY_MS = 500;
/** Renewed by the player before it ends. */
const TTL_S = 600;

interface Seen {
  state: EngineState;
  stats: Stats | undefined;
  error: EngineError | undefined;
}

export function Preview({
  stream,
  onLatency,
}: {
  stream: Stream;
  onLatency: (ms: number | undefined) => void;
}) {
  const me = useMe();
  const canSign = stream.policy === 'public' || may(me, 'operator');
  const [wasLive, setWasLive] = useState(isRunning(stream));
  if (!wasLive && isRunning(stream)) setWasLive(true);
  return (
    <div>
      {canSign && wasLive ? (
        <Player stream={stream} onLatency={onLatency} />
      ) : (
        <div className="preview">
          <div className="preview-words">
            <p>{canSign ? words.stream.previewIdle : words.stream.noPreview}</p>
          </div>
        </div>
      )}
    </div>
  );
}

async function tokenFor(id: string): Promise<string> {
  const body = { sub: 'preview', ttl_s: TTL_S };
  const made = await ask(api.POST('/streams/{stream}/tokens', { params: { path: { stream: id } }, body }));
  return made.token ?? '';
}

function Player({ stream, onLatency }: { stream: Stream; onLatency: (ms: number | undefined) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const engine = useRef<Engine>(undefined);
  const [seen, setSeen] = useState<Seen>({ state: 'idle', stats: undefined, error: undefined });
  const [isMuted, setMuted] = useState(true);
  const isSigned = stream.policy === 'signed';
  const first = useQuery({
    queryKey: ['stream', stream.id, 'preview-token'],
    queryFn: () => tokenFor(stream.id),
    enabled: isSigned,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const token = isSigned ? first.data : '';
  const { id, playback_id: playbackId } = stream;
  useEffect(() => {
    const element = video.current;
    if (!element || token === undefined) return;
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const url = `${scheme}://${location.host}/live/${playbackId}`;
    let error: EngineError | undefined;
    const own = new Engine({
      video: element,
      url,
      ...(token ? { token, getToken: () => tokenFor(id) } : {}),
    });
    engine.current = own;
    const look = () => {
      if (own.state === 'playing') error = undefined;
      const stats = own.stats;
      setSeen({ state: own.state, stats, error });
      onLatency(own.state === 'playing' ? stats?.latencyMs : undefined);
    };
    own.on('error', (told) => {
      error = told;
      look();
    });
    own.on('state', look);
    own.start();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      clearInterval(timer);
      own.stop();
      onLatency(undefined);
    };
  }, [id, playbackId, token, onLatency]);
  const latency = seen.stats?.latencyMs;
  return (
    <>
      <div className="preview" data-state={seen.state} data-frames={seen.stats?.framesShown ?? 0}>
        <video ref={video} muted={isMuted} playsInline autoPlay aria-label={words.stream.preview} />
        <Over seen={seen} onRetry={() => engine.current?.start()} />
      </div>
      <div className="preview-bar">
        <span>
          {words.stream.previewLatency}: {latency === undefined ? '–' : `${Math.round(latency)} ms`}
        </span>
        <span>
          {seen.stats?.framesShown ?? 0} {words.stream.previewFrames}
        </span>
        <span className="grow" />
        <Button
          size="small"
          tone="quiet"
          icon={isMuted ? 'silent' : 'sound'}
          onPress={() => {
            if (video.current) video.current.muted = !isMuted;
            setMuted(!isMuted);
          }}
        >
          {isMuted ? words.stream.unmute : words.stream.mute}
        </Button>
      </div>
    </>
  );
}

function Over({ seen, onRetry }: { seen: Seen; onRetry: () => void }) {
  if (seen.state === 'playing') return null;
  const isKicked = seen.error?.code === 'removed';
  const states: Record<string, string> = words.stream.previewStates;
  return (
    <div className="preview-words" role="status">
      <b>{isKicked ? words.stream.kicked : states[seen.state]}</b>
      {isKicked && <p>{words.stream.kickedHelp}</p>}
      {seen.state === 'failed' && !isKicked && <p>{seen.error?.message}</p>}
      {seen.state === 'failed' && (
        <p>
          <Button size="small" onPress={onRetry}>
            {words.stream.watchAgain}
          </Button>
        </p>
      )}
    </div>
  );
}
