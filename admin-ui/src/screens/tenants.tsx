import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api, ask, type Tenant } from '../api/client';
import { tenantsQuery } from '../api/queries';
import { bits, dateTime, parseLimit, whole } from '../lib/format';
import { useForm } from '../ui/form';
import {
  Badge,
  Button,
  Card,
  Check,
  Confirm,
  Empty,
  Field,
  Loaded,
  Notice,
  PageHead,
  Sheet,
} from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

type Doing =
  | { name: 'nothing' }
  | { name: 'create' }
  | { name: 'edit'; tenant: Tenant }
  | { name: 'delete'; tenant: Tenant };

export function Tenants() {
  const client = useQueryClient();
  const query = useQuery(tenantsQuery);
  const [doing, setDoing] = useState<Doing>({ name: 'nothing' });
  const stop = () => setDoing({ name: 'nothing' });
  return (
    <>
      <PageHead title={words.tenants.title} lead={words.tenants.lead}>
        <Button tone="primary" icon="plus" onPress={() => setDoing({ name: 'create' })}>
          {words.tenants.create}
        </Button>
      </PageHead>
      <Card isFlush>
        <Loaded query={query}>
          {(tenants) =>
            tenants.length === 0 ? (
              <Empty icon="tenants" title={words.tenants.none}>
                {words.tenants.noneHelp}
              </Empty>
            ) : (
              <Table
                rows={tenants}
                keyOf={(tenant) => tenant.id}
                columns={[
                  {
                    title: words.common.tenant,
                    kind: 'title',
                    cell: ({ id, name }) => (
                      <Link to="/" search={{ tenant: id }}>
                        {name}
                      </Link>
                    ),
                  },
                  {
                    title: words.common.status,
                    cell: ({ disabled }) => (
                      <Badge tone={disabled ? 'bad' : 'good'}>
                        {disabled ? words.tenants.disabled : words.tenants.active}
                      </Badge>
                    ),
                  },
                  {
                    title: words.tenants.quotaStreams,
                    kind: 'number',
                    cell: ({ quotas }) => limit(quotas.streams, whole),
                  },
                  {
                    title: words.tenants.quotaViewers,
                    kind: 'number',
                    cell: ({ quotas }) => limit(quotas.viewers, whole),
                  },
                  {
                    title: words.usage.egressRate,
                    kind: 'number',
                    cell: ({ quotas }) => limit(quotas.egress_bps, bits),
                  },
                  { title: words.common.created, cell: (tenant) => dateTime(tenant.created_at) },
                  ...actions<Tenant>(true, (tenant) => (
                    <span className="actions compact">
                      <Button size="small" onPress={() => setDoing({ name: 'edit', tenant })}>
                        {words.tenants.edit}
                      </Button>
                      <Button size="small" tone="danger" onPress={() => setDoing({ name: 'delete', tenant })}>
                        {words.common.delete}
                      </Button>
                    </span>
                  )),
                ]}
              />
            )
          }
        </Loaded>
      </Card>
      {doing.name === 'create' && <Edit tenant={undefined} onClose={stop} />}
      {doing.name === 'edit' && <Edit tenant={doing.tenant} onClose={stop} />}
      <Confirm
        title={`${words.common.delete}: ${doing.name === 'delete' ? doing.tenant.name : ''}`}
        help={`${words.tenants.deleteHelp} ${words.common.cantUndo}`}
        action={words.common.delete}
        {...(doing.name === 'delete' ? { typed: doing.tenant.name } : {})}
        isOpen={doing.name === 'delete'}
        onClose={stop}
        onConfirm={async () => {
          if (doing.name !== 'delete') return;
          await ask(api.DELETE('/tenants/{tenant}', { params: { path: { tenant: doing.tenant.id } } }));
          await client.invalidateQueries({ queryKey: ['tenants'] });
          say(words.tenants.deleted);
        }}
      />
    </>
  );
}

function limit(value: number | string | null | undefined, show: (value: number) => string): string {
  return value === null || value === undefined ? words.usage.unlimited : show(Number(value));
}

const asText = (value: number | string | null | undefined) => (value == null ? '' : String(value));

function Edit({ tenant, onClose }: { tenant: Tenant | undefined; onClose: () => void }) {
  const client = useQueryClient();
  const form = useForm(['name']);
  const [name, setName] = useState(tenant?.name ?? '');
  const [streams, setStreams] = useState(asText(tenant?.quotas.streams));
  const [viewers, setViewers] = useState(asText(tenant?.quotas.viewers));
  const [ingest, setIngest] = useState(asText(tenant?.quotas.ingest_bps));
  const [egress, setEgress] = useState(asText(tenant?.quotas.egress_bps));
  const [isDisabled, setDisabled] = useState(tenant?.disabled ?? false);
  const limits = [streams, viewers, ingest, egress].map(parseLimit);
  const isWrong = limits.includes(undefined);
  const error = (text: string) => (parseLimit(text) === undefined ? words.tenants.wrongNumber : undefined);
  const save = async () => {
    const [mostStreams = null, mostViewers = null, mostIngest = null, mostEgress = null] = limits;
    const quotas = {
      streams: mostStreams,
      viewers: mostViewers,
      ingest_bps: mostIngest === null ? null : String(mostIngest),
      egress_bps: mostEgress === null ? null : String(mostEgress),
    };
    if (tenant) {
      const path = { tenant: tenant.id };
      await ask(
        api.PATCH('/tenants/{tenant}', { params: { path }, body: { name, quotas, disabled: isDisabled } }),
      );
      say(words.common.saved);
    } else {
      await ask(api.POST('/tenants', { body: { name, quotas } }));
      say(words.tenants.created);
    }
    await client.invalidateQueries({ queryKey: ['tenants'] });
    onClose();
  };
  const quota = (label: string, value: string, onChange: (value: string) => void) => (
    <Field
      label={label}
      value={value}
      onChange={onChange}
      hint={words.tenants.quotaHelp}
      error={error(value)}
      inputMode="numeric"
    />
  );
  return (
    <Sheet title={tenant ? words.tenants.editTitle : words.tenants.create} isOpen onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit(save);
        }}
      >
        <Field
          label={words.common.name}
          value={name}
          onChange={setName}
          error={form.errorOf('name')}
          isRequired
          autoFocus
          autoComplete="off"
        />
        {quota(words.tenants.quotaStreams, streams, setStreams)}
        {quota(words.tenants.quotaViewers, viewers, setViewers)}
        {quota(words.tenants.quotaIngest, ingest, setIngest)}
        {quota(words.tenants.quotaEgress, egress, setEgress)}
        {tenant && (
          <Check isSelected={isDisabled} onChange={setDisabled}>
            {words.tenants.disable}
          </Check>
        )}
        {form.error && <Notice tone="bad">{form.error}</Notice>}
        <div className="dialog-end">
          <Button onPress={onClose}>{words.common.cancel}</Button>
          <Button
            tone="primary"
            type="submit"
            isPending={form.isBusy}
            isDisabled={isWrong || name.trim() === ''}
          >
            {tenant ? words.common.save : words.common.create}
          </Button>
        </div>
      </form>
    </Sheet>
  );
}
