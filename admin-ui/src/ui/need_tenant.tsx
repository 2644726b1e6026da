import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { tenantsQuery, useMe } from '../api/queries';
import { words } from '../words';
import { Card, Choose, Empty } from './kit';

/** For pages of one tenant: who administers the platform chooses it first. */
export function NeedTenant({ help, children }: { help: string; children: ReactNode }) {
  const me = useMe();
  const navigate = useNavigate();
  const needed = !me.tenant;
  const { data: tenants } = useQuery({ ...tenantsQuery, enabled: needed });
  if (!needed) return children;
  return (
    <Card isFlush>
      <Empty
        icon="tenants"
        title={words.tokens.chooseTenant}
        action={
          <Choose
            label={words.common.tenant}
            isHiddenLabel
            choices={(tenants ?? []).map(({ id, name }) => ({ id, text: name }))}
            value={undefined}
            placeholder={words.tokens.chooseTenant}
            onChange={(tenant) => void navigate({ to: '.', search: (before) => ({ ...before, tenant }) })}
          />
        }
      >
        {help}
      </Empty>
    </Card>
  );
}
