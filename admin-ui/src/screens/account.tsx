import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Me } from '../api/client';
import { enter } from '../api/door';
import { useMe } from '../api/queries';
import { setTheme, type Theme, theme } from '../lib/theme';
import { useForm } from '../ui/form';
import { Badge, Button, Card, Choose, Confirm, Field, Notice, PageHead } from '../ui/kit';
import { say } from '../ui/toast';
import { words } from '../words';

const THEMES = [
  { id: 'auto', text: words.account.themeAuto },
  { id: 'light', text: words.account.themeLight },
  { id: 'dark', text: words.account.themeDark },
] as const;

export function Account() {
  const me = useMe();
  const [colours, setColours] = useState<Theme>(theme());
  return (
    <>
      <PageHead title={words.account.title} lead={words.account.lead} />
      <div className="grid-2">
        <div className="stack">
          <Profile me={me} />
          <Card title={words.account.theme}>
            <Choose
              label={words.account.theme}
              choices={THEMES}
              value={colours}
              onChange={(chosen) => {
                setColours(chosen);
                setTheme(chosen);
              }}
            />
          </Card>
        </div>
        <div className="stack">
          <Password me={me} />
          <Sessions />
        </div>
      </div>
    </>
  );
}

function Profile({ me }: { me: Me }) {
  const [name, setName] = useState(me.user?.name ?? '');
  const client = useQueryClient();
  const form = useForm(['name']);
  const save = async () => {
    client.setQueryData(['me'], await ask(api.PATCH('/me', { body: { name } })));
    say(words.common.saved);
  };
  return (
    <Card title={words.account.profile}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(save);
        }}
      >
        <dl className="facts">
          <dt>{words.users.loginShort}</dt>
          <dd>{me.user?.login}</dd>
          <dt>{words.account.roles}</dt>
          <dd>
            {me.tenants.length === 0 ? (
              <Badge tone="accent">{words.roles[me.role]}</Badge>
            ) : (
              me.tenants.map((tenant) => (
                <p key={tenant.id}>
                  {words.roles[tenant.role]} · {tenant.name}
                </p>
              ))
            )}
          </dd>
        </dl>
        <Field
          label={words.common.name}
          value={name}
          onChange={setName}
          error={form.errorOf('name')}
          autoComplete="name"
        />
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="actions">
          <Button type="submit" isPending={form.isBusy} isDisabled={name === me.user?.name}>
            {words.common.save}
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Password({ me }: { me: Me }) {
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const client = useQueryClient();
  const form = useForm(['password', 'old_password']);
  const has = me.user?.has_password === true;
  const save = async () => {
    const body = { password: fresh, ...(has ? { old_password: old } : {}) };
    client.setQueryData(['me'], await ask(api.PATCH('/me', { body })));
    setOld('');
    setFresh('');
    say(words.account.changed);
  };
  return (
    <Card title={words.account.passwordTitle}>
      {!has && <Notice tone="info">{words.account.noPassword}</Notice>}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(save);
        }}
      >
        {has && (
          <Field
            label={words.account.old}
            value={old}
            onChange={setOld}
            type="password"
            autoComplete="current-password"
            error={form.errorOf('old_password')}
          />
        )}
        <Field
          label={words.account.fresh}
          value={fresh}
          onChange={setFresh}
          type="password"
          autoComplete="new-password"
          hint={words.welcome.passwordHint}
          error={form.errorOf('password')}
        />
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="actions">
          <Button type="submit" isPending={form.isBusy} isDisabled={fresh === ''}>
            {words.account.change}
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Sessions() {
  const [isAsking, setAsking] = useState(false);
  return (
    <Card title={words.account.sessions}>
      <p className="muted">{words.account.everywhereHelp}</p>
      <div className="actions">
        <Button onPress={() => void ask(api.POST('/logout')).then(() => enter(null))}>
          {words.account.signOut}
        </Button>
        <Button tone="danger" onPress={() => setAsking(true)}>
          {words.account.everywhere}
        </Button>
      </div>
      <Confirm
        title={`${words.account.everywhere}?`}
        help={words.account.everywhereHelp}
        action={words.account.everywhere}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => ask(api.POST('/logout-all')).then(() => enter(null))}
      />
    </Card>
  );
}
