import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Node } from '../api/client';
import { nodesQuery } from '../api/queries';
import { ago, whole } from '../lib/format';
import { useNow } from '../lib/now';
import { Badge, type BadgeTone, Button, Card, Confirm, Loaded, PageHead } from '../ui/kit';
import { actions, Table } from '../ui/table';
import { say } from '../ui/toast';
import { words } from '../words';

const TONES: Record<string, BadgeTone> = { ready: 'good', starting: 'warn', draining: 'warn' };

export function Nodes() {
  const now = useNow();
  const client = useQueryClient();
  const query = useQuery(nodesQuery);
  const [drained, setDrained] = useState<Node>();
  return (
    <>
      <PageHead title={words.nodes.title} lead={words.nodes.lead} />
      <Card isFlush>
        <Loaded query={query} rows={3}>
          {({ data }) => (
            <Table
              rows={data}
              keyOf={(node) => node.id}
              columns={[
                { title: words.stream.facts.node, kind: 'title', cell: (node) => node.id },
                {
                  title: words.common.status,
                  cell: ({ state }) => (
                    <Badge tone={TONES[state] ?? 'plain'}>{words.nodes.states[state] ?? state}</Badge>
                  ),
                },
                { title: words.nodes.streams, kind: 'number', cell: (node) => whole(node.streams) },
                { title: words.nodes.publishers, kind: 'number', cell: (node) => whole(node.publishers) },
                { title: words.nodes.viewers, kind: 'number', cell: (node) => whole(node.viewers) },
                { title: words.nodes.started, cell: (node) => ago(node.started_at, now) },
                { title: words.nodes.version, cell: (node) => node.version },
                ...actions<Node>(true, (node) => (
                  <Button
                    size="small"
                    tone="danger"
                    isDisabled={node.state === 'draining'}
                    onPress={() => setDrained(node)}
                  >
                    {words.nodes.drain}
                  </Button>
                )),
              ]}
            />
          )}
        </Loaded>
      </Card>
      <Confirm
        title={words.nodes.drainTitle(drained?.id ?? '')}
        help={words.nodes.drainHelp}
        action={words.nodes.drain}
        {...(drained ? { typed: drained.id } : {})}
        isOpen={drained !== undefined}
        onClose={() => setDrained(undefined)}
        onConfirm={async () => {
          if (!drained) return;
          await ask(api.POST('/nodes/{node}/drain', { params: { path: { node: drained.id } } }));
          await client.invalidateQueries({ queryKey: ['nodes'] });
          say(words.nodes.drained);
        }}
      />
    </>
  );
}
