import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type Stream } from '../api/client';
import { parseLabels, parseLimit, showLabels } from '../lib/format';
import { useForm } from '../ui/form';
import { Button, Card, Choose, Confirm, Field, Notice } from '../ui/kit';
import { say } from '../ui/toast';
import { words } from '../words';

const POLICIES = [
  { id: 'signed', text: words.streams.signed, hint: words.streams.signedHelp },
  { id: 'public', text: words.streams.public, hint: words.streams.publicHelp },
] as const;

const SECONDS = [
  { id: 'refuse', text: words.stream.refuse },
  { id: 'takeover', text: words.stream.takeover },
] as const;

export function SettingsTab({ stream }: { stream: Stream }) {
  return (
    <div className="grid-2">
      <Settings stream={stream} />
      <Delete stream={stream} />
    </div>
  );
}

function Settings({ stream }: { stream: Stream }) {
  const client = useQueryClient();
  const [name, setName] = useState(stream.name);
  const [policy, setPolicy] = useState(stream.policy);
  const [second, setSecond] = useState(stream.second_publisher);
  const [windowS, setWindow] = useState(String(stream.reconnect_window_s));
  const [latency, setLatency] = useState(
    stream.latency_target_ms == null ? '' : String(stream.latency_target_ms),
  );
  const [origins, setOrigins] = useState(stream.allowed_origins.join('\n'));
  const [labels, setLabels] = useState(showLabels(stream.labels));
  const form = useForm(['name', 'reconnect_window_s', 'latency_target_ms', 'allowed_origins', 'labels']);
  const parsed = parseLabels(labels);
  const latencyMs = parseLimit(latency);
  const seconds = parseLimit(windowS);
  const isWrong = parsed === undefined || latencyMs === undefined || seconds == null;
  const save = async () => {
    if (parsed === undefined || latencyMs === undefined || seconds == null) return;
    const lines = origins.split('\n').map((line) => line.trim());
    const body = {
      name,
      policy,
      second_publisher: second,
      reconnect_window_s: seconds,
      latency_target_ms: latencyMs,
      allowed_origins: lines.filter((line) => line !== ''),
      labels: parsed,
    };
    const changed = await ask(
      api.PATCH('/streams/{stream}', { params: { path: { stream: stream.id } }, body }),
    );
    client.setQueryData(['stream', stream.id], changed);
    void client.invalidateQueries({ queryKey: ['streams'] });
    say(words.common.saved);
  };
  return (
    <Card title={words.stream.settingsTitle}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(save);
        }}
      >
        <Field label={words.common.name} value={name} onChange={setName} error={form.errorOf('name')} />
        <Choose label={words.streams.policy} choices={POLICIES} value={policy} onChange={setPolicy} />
        <Choose label={words.stream.second} choices={SECONDS} value={second} onChange={setSecond} />
        <Field
          label={words.stream.window}
          value={windowS}
          onChange={setWindow}
          hint={words.stream.windowHelp}
          error={seconds == null ? words.tenants.wrongNumber : form.errorOf('reconnect_window_s')}
          inputMode="numeric"
        />
        <Field
          label={words.stream.latency}
          value={latency}
          onChange={setLatency}
          hint={words.stream.latencyHelp}
          error={latencyMs === undefined ? words.tenants.wrongNumber : form.errorOf('latency_target_ms')}
          inputMode="numeric"
        />
        <Field
          label={words.stream.origins}
          value={origins}
          onChange={setOrigins}
          hint={words.stream.originsHelp}
          error={form.errorOf('allowed_origins')}
          lines={3}
        />
        <Field
          label={words.stream.labels}
          value={labels}
          onChange={setLabels}
          hint={words.stream.labelsHelp}
          error={parsed === undefined ? words.stream.labelsWrong : form.errorOf('labels')}
          lines={3}
        />
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="actions">
          <Button tone="primary" type="submit" isPending={form.isBusy} isDisabled={isWrong}>
            {words.common.save}
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Delete({ stream }: { stream: Stream }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  return (
    <Card title={words.stream.deleteTitle}>
      <p className="muted">
        {words.stream.deleteHelp} {words.common.cantUndo}
      </p>
      <div className="actions">
        <Button tone="danger" onPress={() => setAsking(true)}>
          {words.stream.deleteTitle}
        </Button>
      </div>
      <Confirm
        title={words.stream.deleteAsk(stream.name)}
        help={`${words.stream.deleteHelp} ${words.common.cantUndo}`}
        action={words.common.delete}
        typed={stream.name}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={async () => {
          await ask(api.DELETE('/streams/{stream}', { params: { path: { stream: stream.id } } }));
          await navigate({ to: '/streams' });
          client.removeQueries({ queryKey: ['stream', stream.id] });
          void client.invalidateQueries({ queryKey: ['streams'] });
          say(words.stream.deleted);
        }}
      />
    </Card>
  );
}
