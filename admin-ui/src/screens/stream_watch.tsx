import { useState } from 'react';
import { api, ask, type Stream } from '../api/client';
import { may, useMe } from '../api/queries';
import { useForm } from '../ui/form';
import { Button, Card, Copyable, Notice } from '../ui/kit';
import { words } from '../words';

const TTL_S = 3_600;

export function WatchTab({ stream }: { stream: Stream }) {
  const me = useMe();
  const [token, setToken] = useState<string>();
  const form = useForm([]);
  const isSigned = stream.policy === 'signed';
  const { page_url: page, ws_url: socket, mp4_url: mp4 } = stream.play;
  const embed = page.replace('/watch/', '/embed/');
  const inFragment = token ? `#token=${token}` : '';
  const inQuery = token ? `?token=${token}` : '';
  const code = `<iframe src="${embed}${inFragment}" width="640" height="360" allow="autoplay; fullscreen" frameborder="0"></iframe>`;
  const make = async () => {
    const body = { sub: 'test', ttl_s: TTL_S };
    const made = await ask(
      api.POST('/streams/{stream}/tokens', { params: { path: { stream: stream.id } }, body }),
    );
    setToken(made.token ?? undefined);
  };
  return (
    <div className="grid-2">
      <Card title={words.stream.watchTitle}>
        {isSigned && <Notice tone="info">{words.stream.tokenHelp}</Notice>}
        <Copyable label={words.stream.page} text={`${page}${inFragment}`} />
        <Copyable label={words.stream.socket} text={`${socket}${inQuery}`} />
        <Copyable label={words.stream.mp4} text={`${mp4}${inQuery}`} />
        {isSigned && may(me, 'operator') && (
          <div className="actions">
            <Button onPress={() => void form.submit(make)} isPending={form.isBusy}>
              {words.stream.testLink}
            </Button>
            <span className="hint">{words.stream.testLinkHelp}</span>
          </div>
        )}
        {form.error && <Notice tone="bad">{form.error}</Notice>}
      </Card>
      <Card title={words.stream.embed} note={words.stream.embedHelp}>
        <Copyable label="HTML" text={code} isTall />
      </Card>
    </div>
  );
}
