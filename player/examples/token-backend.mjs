// Ten lines of a backend that gives viewers tokens: WEIR_URL, WEIR_KEY (an API key), STREAM (str_...), PORT.
import { createServer } from 'node:http';

const { WEIR_URL, WEIR_KEY, STREAM, PORT = '3000', TTL_S = '300' } = process.env;
createServer(async (_request, response) => {
  const headers = { authorization: `Bearer ${WEIR_KEY}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ sub: 'viewer-1', ttl_s: Number(TTL_S) }); // here: who is signed in
  const answer = await fetch(`${WEIR_URL}/api/v1/streams/${STREAM}/tokens`, {
    method: 'POST',
    headers,
    body,
  });
  response.writeHead(answer.ok ? 200 : 502, {
    'access-control-allow-origin': '*',
    'cache-control': 'no-store',
  });
  response.end(answer.ok ? (await answer.json()).token : 'no token');
}).listen(Number(PORT), '127.0.0.1');
