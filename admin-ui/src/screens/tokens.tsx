import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type SigningKey } from '../api/client';
import { may, signingKeysQuery, streamsQuery, useMe } from '../api/queries';
import { dateTime, parseLimit } from '../lib/format';
import { useForm } from '../ui/form';
import {
  Badge,
  Button,
  Card,
  Choose,
  Confirm,
  Copyable,
  Empty,
  Field,
  Loaded,
  Notice,
  PageHead,
  Sheet,
} from '../ui/kit';
import { NeedTenant } from '../ui/need_tenant';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

const route = getRouteApi('/tokens');

export function Tokens() {
  const me = useMe();
  return (
    <>
      <PageHead title={words.tokens.title} lead={words.tokens.lead} />
      <NeedTenant help={words.tokens.chooseTenantHelp}>
        <div className={may(me, 'operator') ? 'grid-form' : 'stack'}>
          {may(me, 'operator') && <Maker />}
          <Keys />
        </div>
      </NeedTenant>
    </>
  );
}

const TTLS = Object.entries(words.tokens.ttls).map(([id, text]) => ({ id, text }));

function Maker() {
  const { stream } = route.useSearch();
  const navigate = route.useNavigate();
  const { data: streams } = useQuery(streamsQuery);
  const [sub, setSub] = useState('test');
  const [ttl, setTtl] = useState('3600');
  const [ip, setIp] = useState('');
  const [sessions, setSessions] = useState('');
  const [made, setMade] = useState<{ token: string; until: string }>();
  const form = useForm(['sub', 'ttl_s', 'ip', 'max_sessions']);
  const chosen = streams?.find(({ id }) => id === stream);
  const most = parseLimit(sessions);
  const make = async () => {
    if (!chosen || most === undefined) return;
    const body = {
      sub,
      ttl_s: Number(ttl),
      ...(ip ? { ip } : {}),
      ...(most === null ? {} : { max_sessions: most }),
    };
    const answer = await ask(
      api.POST('/streams/{stream}/tokens', { params: { path: { stream: chosen.id } }, body }),
    );
    setMade({ token: answer.token ?? '', until: answer.expires_at });
  };
  return (
    <Card title={words.tokens.makerTitle} note={words.tokens.makerHelp}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(make);
        }}
      >
        <Choose
          label={words.tokens.stream}
          choices={(streams ?? []).map(({ id, name }) => ({ id, text: name, hint: id }))}
          value={chosen?.id}
          placeholder={words.tokens.chooseStream}
          onChange={(id) => {
            setMade(undefined);
            void navigate({ search: (before) => ({ ...before, stream: id }), replace: true });
          }}
        />
        <Field label={words.tokens.subject} value={sub} onChange={setSub} error={form.errorOf('sub')} />
        <Choose label={words.tokens.ttl} choices={TTLS} value={ttl} onChange={setTtl} />
        <Field
          label={words.tokens.ip}
          value={ip}
          onChange={setIp}
          hint={words.common.optional}
          error={form.errorOf('ip')}
        />
        <Field
          label={words.tokens.sessions}
          value={sessions}
          onChange={setSessions}
          hint={words.common.optional}
          inputMode="numeric"
          error={most === undefined ? words.tenants.wrongNumber : form.errorOf('max_sessions')}
        />
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="actions">
          <Button
            tone="primary"
            type="submit"
            isPending={form.isBusy}
            isDisabled={!chosen || most === undefined}
          >
            {words.tokens.make}
          </Button>
        </div>
      </form>
      {made && chosen && (
        <>
          <Copyable label={words.tokens.token} text={made.token} />
          <Copyable label={words.tokens.link} text={`${chosen.play.page_url}#token=${made.token}`} />
          <p className="hint">{words.tokens.until(dateTime(made.until))}</p>
        </>
      )}
    </Card>
  );
}

function Keys() {
  const me = useMe();
  const client = useQueryClient();
  const query = useQuery(signingKeysQuery);
  const [isAdding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<SigningKey>();
  const mayChange = may(me, 'owner');
  return (
    <Card
      title={words.tokens.keysTitle}
      isFlush
      actions={
        mayChange && (
          <Button size="small" icon="plus" onPress={() => setAdding(true)}>
            {words.tokens.newKey}
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty icon="tokens" title={words.tokens.none}>
              {words.tokens.noneHelp}
            </Empty>
          ) : (
            <Table
              rows={data}
              keyOf={(key) => key.id}
              columns={[
                {
                  title: words.tokens.kid,
                  kind: 'title',
                  cell: (key) => <span className="mono-wrap">{key.kid ?? key.jwks_url}</span>,
                },
                {
                  title: words.tokens.algorithm,
                  cell: (key) => (key.jwks_url ? <SetState set={key} /> : key.algorithm),
                },
                { title: words.common.created, cell: (key) => dateTime(key.created_at) },
                ...actions<SigningKey>(mayChange, (key) => (
                  <Button size="small" tone="danger" onPress={() => setRemoved(key)}>
                    {words.users.remove}
                  </Button>
                )),
              ]}
            />
          )
        }
      </Loaded>
      <Add isOpen={isAdding} onClose={() => setAdding(false)} />
      <Confirm
        title={words.tokens.removeTitle}
        help={words.tokens.removeHelp}
        action={words.users.remove}
        {...(removed ? { typed: removed.kid ?? removed.id } : {})}
        isOpen={removed !== undefined}
        onClose={() => setRemoved(undefined)}
        onConfirm={async () => {
          if (!removed) return;
          await ask(api.DELETE('/signing-keys/{key}', { params: { path: { key: removed.id } } }));
          await client.invalidateQueries({ queryKey: ['signing-keys'] });
          say(words.tokens.removed);
        }}
      />
    </Card>
  );
}

function SetState({ set }: { set: SigningKey }) {
  if (set.error) {
    return (
      <div>
        <Badge tone="bad">{words.tokens.setFailed}</Badge>
        <p className="hint break">{set.error}</p>
      </div>
    );
  }
  return <Badge tone={set.fetched_at ? 'good' : 'warn'}>{words.tokens.setKeys(set.keys.length)}</Badge>;
}

const KINDS = [
  { id: 'HS256', text: words.tokens.kindOurs },
  { id: 'RS256', text: `${words.tokens.kindYours}: RS256` },
  { id: 'ES256', text: `${words.tokens.kindYours}: ES256` },
  { id: 'EdDSA', text: `${words.tokens.kindYours}: EdDSA` },
  { id: 'JWKS', text: words.tokens.kindSet },
] as const;

type Kind = (typeof KINDS)[number]['id'];

function Add({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const [kind, setKind] = useState<Kind>('HS256');
  const [publicKey, setPublicKey] = useState('');
  const [kid, setKid] = useState('');
  const [url, setUrl] = useState('');
  const [secret, setSecret] = useState<string>();
  const form = useForm(['public_key', 'kid', 'jwks_url']);
  const close = () => {
    setSecret(undefined);
    setPublicKey('');
    form.reset();
    onClose();
  };
  const body = () => {
    if (kind === 'JWKS') return { jwks_url: url };
    return kind === 'HS256' ? {} : { algorithm: kind, public_key: publicKey, ...(kid ? { kid } : {}) };
  };
  const add = async () => {
    const made = await ask(api.POST('/signing-keys', { body: body() }));
    await client.invalidateQueries({ queryKey: ['signing-keys'] });
    if (made.secret) {
      setSecret(made.secret);
      return;
    }
    say(words.tokens.added);
    close();
  };
  return (
    <Sheet title={secret ? words.tokens.secretTitle : words.tokens.newKey} isOpen={isOpen} onClose={close}>
      {secret ? (
        <>
          <Notice tone="good">{words.tokens.secretHelp}</Notice>
          <Copyable label={words.tokens.secret} text={secret} />
          <div className="dialog-end">
            <Button tone="primary" onPress={close}>
              {words.common.done}
            </Button>
          </div>
        </>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void form.submit(add);
          }}
        >
          <Choose label={words.tokens.kind} choices={KINDS} value={kind} onChange={setKind} />
          {kind === 'JWKS' && (
            <Field
              label={words.tokens.setUrl}
              value={url}
              onChange={setUrl}
              hint={words.tokens.setUrlHelp}
              error={form.errorOf('jwks_url')}
              type="url"
            />
          )}
          {kind !== 'HS256' && kind !== 'JWKS' && (
            <>
              <Field
                label={words.tokens.publicKey}
                value={publicKey}
                onChange={setPublicKey}
                hint={words.tokens.publicKeyHelp}
                error={form.errorOf('public_key')}
                lines={6}
              />
              <Field
                label={words.tokens.kid}
                value={kid}
                onChange={setKid}
                hint={words.common.optional}
                error={form.errorOf('kid')}
              />
            </>
          )}
          {form.error && <Notice tone="bad">{form.error}</Notice>}
          <div className="dialog-end">
            <Button onPress={close}>{words.common.cancel}</Button>
            <Button tone="primary" type="submit" isPending={form.isBusy}>
              {words.tokens.newKey}
            </Button>
          </div>
        </form>
      )}
    </Sheet>
  );
}
