import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Stream, type StreamKey } from '../api/client';
import { keysQuery, may, useMe } from '../api/queries';
import { ago, dateTime } from '../lib/format';
import { useNow } from '../lib/now';
import { Button, Card, Confirm, Copyable, Loaded, Notice, Sheet } from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

const KEYS_MAX = 2;

export function PublishTab({ stream }: { stream: Stream }) {
  const [made, setMade] = useState<string>();
  const key = made ?? words.stream.keyPlaceholder;
  const url = `${stream.ingest.rtmp_server}/${key}`;
  const { rtmps_server: encrypted } = stream.ingest;
  const command = `ffmpeg -re -stream_loop -1 -i FILE -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 30 -c:a aac -f flv ${url}`;
  return (
    <div className="grid-2">
      <div className="stack">
        <Card title={words.stream.publishTitle} note={words.stream.publishHelp}>
          <Copyable label={words.stream.server} text={stream.ingest.rtmp_server} />
          {encrypted && <Copyable label={words.stream.serverTls} text={encrypted} />}
          {made ? (
            <>
              <Copyable label={words.stream.key} text={made} />
              <Copyable label={words.stream.url} text={url} />
              {encrypted && <Copyable label={words.stream.urlTls} text={`${encrypted}/${key}`} />}
            </>
          ) : (
            <Notice tone="info">{words.stream.keyHidden}</Notice>
          )}
        </Card>
        <Keys stream={stream} onMade={setMade} />
      </div>
      <div className="stack">
        <Card title={words.stream.obsTitle}>
          <ol className="steps">
            {words.stream.obs.map((step) => (
              <li key={step}>
                <span>{step}</span>
              </li>
            ))}
          </ol>
        </Card>
        <Card title={words.stream.ffmpegTitle} note={words.stream.ffmpegHelp}>
          <Copyable label={words.stream.ffmpegTitle} text={command} isTall />
        </Card>
      </div>
    </div>
  );
}

type Doing = { name: 'nothing' } | { name: 'rotate' } | { name: 'revoke'; key: StreamKey };

function Keys({ stream, onMade }: { stream: Stream; onMade: (key: string) => void }) {
  const me = useMe();
  const now = useNow();
  const client = useQueryClient();
  const query = useQuery(keysQuery(stream.id));
  const [doing, setDoing] = useState<Doing>({ name: 'nothing' });
  const [made, setMade] = useState<string>();
  const mayChange = may(me, 'operator');
  const keys = query.data?.data ?? [];
  const path = { stream: stream.id };
  const refresh = () => client.invalidateQueries({ queryKey: ['stream', stream.id, 'keys'] });
  const make = async () => {
    const { key } = await ask(api.POST('/streams/{stream}/keys', { params: { path } }));
    setMade(key ?? '');
    onMade(key ?? '');
    await refresh();
  };
  const revoke = async (key: StreamKey) => {
    await ask(api.DELETE('/streams/{stream}/keys/{key}', { params: { path: { ...path, key: key.id } } }));
    await refresh();
  };
  /** The oldest goes first where there is no room for a new one; the rest after, so that there is always a key. */
  const rotate = async () => {
    const old = [...keys];
    if (old.length >= KEYS_MAX) {
      const oldest = old.pop();
      if (oldest) await revoke(oldest);
    }
    await make();
    for (const key of old) await revoke(key);
    say(words.stream.rotated);
  };
  const stop = () => setDoing({ name: 'nothing' });
  return (
    <Card
      title={words.stream.keysTitle}
      note={words.stream.keysHelp}
      isFlush
      actions={
        mayChange && (
          <>
            <Button
              size="small"
              isDisabled={keys.length >= KEYS_MAX}
              onPress={() => void make().catch(() => say(words.stream.tooManyKeys, 'bad'))}
            >
              {words.stream.newKey}
            </Button>
            <Button size="small" tone="danger" onPress={() => setDoing({ name: 'rotate' })}>
              {words.stream.rotate}
            </Button>
          </>
        )
      }
    >
      <Loaded query={query} rows={2}>
        {({ data }) => (
          <Table
            rows={data}
            keyOf={(key) => key.id}
            columns={[
              { title: words.stream.prefix, kind: 'mono title', cell: (key) => `${key.prefix}…` },
              { title: words.common.created, cell: (key) => dateTime(key.created_at) },
              {
                title: words.common.lastUsed,
                cell: (key) => (key.last_used_at ? ago(key.last_used_at, now) : words.common.never),
              },
              ...actions<StreamKey>(mayChange, (key) => (
                <Button size="small" tone="danger" onPress={() => setDoing({ name: 'revoke', key })}>
                  {words.stream.revoke}
                </Button>
              )),
            ]}
          />
        )}
      </Loaded>
      <Confirm
        title={words.stream.rotateTitle}
        help={words.stream.rotateHelp}
        action={words.stream.rotate}
        isOpen={doing.name === 'rotate'}
        onClose={stop}
        onConfirm={rotate}
      />
      <Confirm
        title={words.stream.revokeTitle}
        help={words.stream.revokeHelp}
        action={words.stream.revoke}
        isOpen={doing.name === 'revoke'}
        onClose={stop}
        onConfirm={async () => {
          if (doing.name === 'revoke') await revoke(doing.key);
          say(words.stream.revoked);
        }}
      />
      <Sheet title={words.stream.newKeyTitle} isOpen={made !== undefined} onClose={() => setMade(undefined)}>
        <Notice tone="good">{words.stream.newKeyHelp}</Notice>
        <Copyable label={words.stream.key} text={made ?? ''} />
        <Copyable label={words.stream.url} text={`${stream.ingest.rtmp_server}/${made ?? ''}`} />
        {stream.ingest.rtmps_server && (
          <Copyable label={words.stream.urlTls} text={`${stream.ingest.rtmps_server}/${made ?? ''}`} />
        )}
        <div className="dialog-end">
          <Button tone="primary" onPress={() => setMade(undefined)}>
            {words.common.done}
          </Button>
        </div>
      </Sheet>
    </Card>
  );
}
