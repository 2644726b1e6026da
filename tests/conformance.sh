#!/usr/bin/env bash
# RFC 6455 by Autobahn's own cases against the viewer socket. Needs a built `weir` (WEIR_BIN).
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/node.sh
venv kosoku 'kosoku==0.1.0'
start_node
post() {
  "$venv/bin/python" - "$http" "$key" "$@" <<'PY'
import json, sys, urllib.request
http, key, path, body, field = sys.argv[1:]
headers = {'authorization': f'Bearer {key}', 'content-type': 'application/json'}
request = urllib.request.Request(f'http://{http}/api/v1{path}', body.encode(), headers)
print(json.load(urllib.request.urlopen(request))[field])
PY
}
tenant=$(post /tenants '{"name": "conformance"}' id)
stream=$(post /streams "{\"tenant\": \"$tenant\", \"name\": \"conformance\", \"policy\": \"public\"}" playback_id)

# Messages of megabytes (9) and compression (12, 13) are not for viewers, who are sent compressed video and say little.
timeout 120 "$venv/bin/kosoku" -m fuzzingclient -p 8 -x '9.*' -x '12.*' -x '13.*' -o "$data/reports" \
  "ws://$http/live/$stream" >"$data/kosoku" 2>&1 || true
"$venv/bin/python" tests/conformance.py "$data/reports" || { tail -n 20 "$data/kosoku"; exit 1; }
