import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type Policy, type StreamCreated } from '../api/client';
import { tenantsQuery, useMe } from '../api/queries';
import { useForm } from '../ui/form';
import { Button, Choose, Copyable, Field, Notice, Sheet } from '../ui/kit';
import { words } from '../words';

const POLICIES = [
  { id: 'signed', text: words.streams.signed, hint: words.streams.signedHelp },
  { id: 'public', text: words.streams.public, hint: words.streams.publicHelp },
] as const;

/** The button, its dialog, and the key that is shown once. */
export function CreateStream() {
  const [isOpen, setOpen] = useState(false);
  const [made, setMade] = useState<StreamCreated>();
  const navigate = useNavigate();
  const close = () => {
    setOpen(false);
    if (made) void navigate({ to: '/streams/$id', params: { id: made.id } });
    setMade(undefined);
  };
  return (
    <>
      <Button tone="primary" icon="plus" onPress={() => setOpen(true)}>
        {words.streams.create}
      </Button>
      <Sheet
        title={made ? words.streams.keepsTitle : words.streams.createTitle}
        isOpen={isOpen}
        onClose={close}
      >
        {made ? <Made stream={made} onClose={close} /> : <Making onMade={setMade} onClose={close} />}
      </Sheet>
    </>
  );
}

function Making({ onMade, onClose }: { onMade: (stream: StreamCreated) => void; onClose: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const needsTenant = me.role === 'platform' && !me.tenant;
  const { data: tenants } = useQuery({ ...tenantsQuery, enabled: needsTenant });
  const [name, setName] = useState('');
  const [policy, setPolicy] = useState<Policy>('signed');
  const [chosen, setChosen] = useState<string>();
  const tenant = chosen ?? (tenants?.length === 1 ? tenants[0]?.id : undefined);
  const form = useForm(['name', 'tenant']);
  const create = async () => {
    const body = {
      name,
      policy,
      second_publisher: 'refuse' as const,
      reconnect_window_s: 30,
      allowed_origins: [],
      labels: {},
      ...(needsTenant && tenant ? { tenant } : {}),
    };
    onMade(await ask(api.POST('/streams', { body })));
    void client.invalidateQueries({ queryKey: ['streams'] });
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit(create);
      }}
    >
      {needsTenant && (
        <Choose
          label={words.common.tenant}
          choices={(tenants ?? []).map(({ id, name }) => ({ id, text: name }))}
          value={tenant}
          onChange={setChosen}
          placeholder={words.tokens.chooseTenant}
        />
      )}
      <Field
        label={words.common.name}
        value={name}
        onChange={setName}
        error={form.errorOf('name')}
        isRequired
        autoFocus
        autoComplete="off"
      />
      <Choose label={words.streams.policy} choices={POLICIES} value={policy} onChange={setPolicy} />
      {(form.error ?? form.errorOf('tenant')) && (
        <Notice tone="bad">{form.error ?? form.errorOf('tenant')}</Notice>
      )}
      <div className="dialog-end">
        <Button onPress={onClose}>{words.common.cancel}</Button>
        <Button tone="primary" type="submit" isPending={form.isBusy} isDisabled={name.trim() === ''}>
          {words.common.create}
        </Button>
      </div>
    </form>
  );
}

function Made({ stream, onClose }: { stream: StreamCreated; onClose: () => void }) {
  return (
    <>
      <Notice tone="good">{words.streams.keepsHelp}</Notice>
      <Copyable label={words.stream.server} text={stream.ingest.rtmp_server} />
      <Copyable label={words.stream.key} text={stream.stream_key.key ?? ''} />
      <Copyable label={words.stream.url} text={stream.ingest.rtmp_url ?? ''} />
      {stream.ingest.rtmps_url && <Copyable label={words.stream.urlTls} text={stream.ingest.rtmps_url} />}
      <div className="dialog-end">
        <Button tone="primary" onPress={onClose}>
          {words.streams.open}
        </Button>
      </div>
    </>
  );
}
