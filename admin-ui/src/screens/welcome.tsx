/** Opens a link that is good once: `/admin/welcome#link=...`. */

import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { ApiError, api, ask, type Me } from '../api/client';
import { enter } from '../api/door';
import { Button, Card, explain, Field, Notice } from '../ui/kit';
import { words } from '../words';
import { Brand, canKeepCookie, reason } from './sign_in';

type Step =
  | { name: 'opening' }
  | { name: 'first' }
  | { name: 'password'; detail: string }
  | { name: 'used'; why: string };

function linkOf(): string {
  return new URLSearchParams(location.hash.slice(1)).get('link') ?? '';
}

export function Welcome() {
  const link = useRef(linkOf());
  const navigate = useNavigate();
  const [step, setStep] = useState<Step>({ name: 'opening' });
  const asked = useRef(false);
  const done = (me: Me) => {
    enter(me);
    void navigate({ to: '/', replace: true });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: the link is tried once
  useEffect(() => {
    if (asked.current) return;
    asked.current = true;
    // Not kept in the history of the browser.
    history.replaceState(history.state, '', location.pathname);
    ask(api.POST('/login', { body: { link: link.current } })).then(done, (failure) =>
      setStep(stepOf(failure)),
    );
  }, []);
  return (
    <main className="door">
      <div className="door-card">
        <Brand />
        {!canKeepCookie() && <Notice tone="bad">{words.signIn.needHttps}</Notice>}
        {step.name === 'opening' && <p role="status">{words.welcome.opening}</p>}
        {step.name === 'used' && (
          <Card>
            <h1>{words.welcome.used}</h1>
            <p>{step.why}</p>
            <Button onPress={() => void navigate({ to: '/' })}>{words.welcome.toSignIn}</Button>
          </Card>
        )}
        {(step.name === 'first' || step.name === 'password') && (
          <Choosing step={step} link={link.current} onDone={done} />
        )}
      </div>
    </main>
  );
}

function stepOf(failure: unknown): Step {
  const field = failure instanceof ApiError ? failure.problem.field : undefined;
  if (field === 'login') return { name: 'first' };
  if (field === 'password' && failure instanceof ApiError)
    return { name: 'password', detail: failure.message };
  const isUsed = failure instanceof ApiError && failure.status === 401;
  return { name: 'used', why: isUsed ? words.welcome.usedHelp : reason(failure) };
}

interface ChoosingProps {
  step: { name: 'first' } | { name: 'password'; detail: string };
  link: string;
  onDone: (me: Me) => void;
}

function Choosing({ step, link, onDone }: ChoosingProps) {
  const isFirst = step.name === 'first';
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const differ = repeated !== '' && repeated !== password;
  const submit = async () => {
    if (password !== repeated) return;
    setBusy(true);
    setError(undefined);
    try {
      const body = isFirst ? { link, login, password, ...(name ? { name } : {}) } : { link, password };
      onDone(await ask(api.POST('/login', { body })));
    } catch (failure) {
      setError(explain(failure));
      setBusy(false);
    }
  };
  return (
    <Card>
      <h1>{isFirst ? words.welcome.firstTitle : words.welcome.passwordTitle}</h1>
      <p>
        {isFirst ? words.welcome.firstLead : `${step.detail.charAt(0).toUpperCase()}${step.detail.slice(1)}.`}
      </p>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {isFirst && (
          <>
            <Field
              label={words.welcome.yourName}
              value={name}
              onChange={setName}
              autoComplete="name"
              autoFocus
            />
            <Field
              label={words.signIn.login}
              value={login}
              onChange={setLogin}
              autoComplete="username"
              isRequired
            />
          </>
        )}
        <Field
          label={words.signIn.password}
          value={password}
          onChange={setPassword}
          type="password"
          autoComplete="new-password"
          hint={words.welcome.passwordHint}
          isRequired
        />
        <Field
          label={words.welcome.repeat}
          value={repeated}
          onChange={setRepeated}
          type="password"
          autoComplete="new-password"
          error={differ ? words.welcome.mismatch : undefined}
          isRequired
        />
        {error && <Notice tone="bad">{error}</Notice>}
        <Button tone="primary" type="submit" isPending={isBusy} isDisabled={differ}>
          {words.welcome.submit}
        </Button>
      </form>
    </Card>
  );
}
