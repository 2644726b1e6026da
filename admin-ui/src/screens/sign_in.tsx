import { useState } from 'react';
import { ApiError, api, ask } from '../api/client';
import { enter } from '../api/door';
import icon from '../icon.svg';
import { Button, Card, explain, Field, Notice } from '../ui/kit';
import { words } from '../words';

/** Browsers take a `Secure` cookie by plain HTTP from the own machine only. */
export function canKeepCookie(): boolean {
  return location.protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
}

export function Brand() {
  return (
    <p className="brand">
      <img src={icon} alt="" />
      {words.product}
    </p>
  );
}

export function SignIn() {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      enter(await ask(api.POST('/login', { body: { login, password } })));
    } catch (failure) {
      setError(reason(failure));
      setBusy(false);
    }
  };
  return (
    <main className="door">
      <div className="door-card">
        <Brand />
        {!canKeepCookie() && <Notice tone="bad">{words.signIn.needHttps}</Notice>}
        <Card>
          <h1>{words.signIn.title}</h1>
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void submit();
            }}
          >
            <Field
              label={words.signIn.login}
              value={login}
              onChange={setLogin}
              autoComplete="username"
              isRequired
              autoFocus
            />
            <Field
              label={words.signIn.password}
              value={password}
              onChange={setPassword}
              type="password"
              autoComplete="current-password"
              isRequired
            />
            {error && <Notice tone="bad">{error}</Notice>}
            <Button tone="primary" type="submit" isPending={isBusy}>
              {words.signIn.submit}
            </Button>
          </form>
          <p className="hint">{words.signIn.lost}</p>
        </Card>
      </div>
    </main>
  );
}

export function reason(failure: unknown): string {
  if (failure instanceof ApiError && failure.status === 401) return words.signIn.wrong;
  if (failure instanceof ApiError && failure.status === 429) {
    return words.signIn.wait(Math.ceil((failure.retryAfterS ?? 60) / 60));
  }
  return explain(failure);
}
