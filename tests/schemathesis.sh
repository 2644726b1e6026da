#!/usr/bin/env bash
# Asks a node whatever its OpenAPI document allows, and what it does not, for about a minute: no server error, no answer
# that the document does not tell of, no method that it does not name. Needs a built `weir` (WEIR_BIN).
set -euo pipefail
cd "$(dirname "$0")/.."

weir=${WEIR_BIN:-${CARGO_TARGET_DIR:-target}/debug/weir}
venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/schemathesis
key=schemathesis_0123456789_0123456789_0123456789
data=$(mktemp -d)
trap 'kill "$node" 2>/dev/null || true; wait "$node" 2>/dev/null || true; rm -rf "$data"' EXIT

if [ ! -x "$venv/bin/schemathesis" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'schemathesis>=4,<5'
fi

env -u WEIR_BIN WEIR_DATA_DIR=$data WEIR_ADMIN_KEY=$key WEIR_LIMITS_API_RATE=100000 WEIR_LOG_FORMAT=json \
  WEIR_HTTP_LISTEN=127.0.0.1:0 WEIR_RTMP_LISTEN=127.0.0.1:0 WEIR_INTERNAL_LISTEN=127.0.0.1:0 \
  "$weir" serve 2>"$data/log" &
node=$!
for _ in $(seq 100); do
  http=$(sed -n 's/.*"message":"ready".*"http":"\([^"]*\)".*/\1/p' "$data/log")
  [ -n "$http" ] && break
  sleep 0.1
done
[ -n "$http" ] || { cat "$data/log" >&2; exit 1; }

# It keeps a cache where it is started.
cd "$data"
status=0
timeout --signal=INT 150 "$venv/bin/schemathesis" run "http://$http/api/v1/openapi.json" \
  --url "http://$http/api/v1" -H "Authorization: Bearer $key" --seed 1 --generation-database none --no-color \
  --max-examples "${EXAMPLES:-12}" --request-timeout 10 \
  --exclude-path /events --exclude-path-regex '/nodes/.*/drain' \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,ignored_auth \
  >"$data/report" 2>&1 || status=$?
tail -n 40 "$data/report"
if [ $status -ne 0 ]; then
  grep -n -A25 '^_____' "$data/report" | head -n 150 >&2
  exit $status
fi
