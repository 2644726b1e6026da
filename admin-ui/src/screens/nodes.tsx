import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, ask, type Node } from '../api/client';
import { nodesQuery } from '../api/queries';
import { ago, whole } from '../lib/format';
import { useNow } from '../lib/now';
import { Badge, type BadgeTone, Button, Card, Confirm, Loaded, PageHead } from '../ui/kit';
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
            <div className="table-wrap">
              <table className="table cards">
                <thead>
                  <tr>
                    <th>{words.stream.facts.node}</th>
                    <th>{words.common.status}</th>
                    <th className="number">{words.nodes.streams}</th>
                    <th className="number">{words.nodes.publishers}</th>
                    <th className="number">{words.nodes.viewers}</th>
                    <th>{words.nodes.started}</th>
                    <th>{words.nodes.version}</th>
                    <th>
                      <span className="visually-hidden">{words.common.actions}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((node) => (
                    <tr key={node.id}>
                      <td className="title">{node.id}</td>
                      <td data-label={words.common.status}>
                        <Badge tone={TONES[node.state] ?? 'plain'}>
                          {words.nodes.states[node.state] ?? node.state}
                        </Badge>
                      </td>
                      <td data-label={words.nodes.streams} className="number">
                        {whole(node.streams)}
                      </td>
                      <td data-label={words.nodes.publishers} className="number">
                        {whole(node.publishers)}
                      </td>
                      <td data-label={words.nodes.viewers} className="number">
                        {whole(node.viewers)}
                      </td>
                      <td data-label={words.nodes.started}>{ago(node.started_at, now)}</td>
                      <td data-label={words.nodes.version}>{node.version}</td>
                      <td data-label="" className="end">
                        <Button
                          size="small"
                          tone="danger"
                          isDisabled={node.state === 'draining'}
                          onPress={() => setDrained(node)}
                        >
                          {words.nodes.drain}
                        </Button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
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
