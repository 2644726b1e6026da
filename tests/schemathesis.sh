#!/usr/bin/env bash
# Asks a node whatever its OpenAPI document allows, and what it does not, for about a minute: no server error, no answer
# that the document does not tell of, no method that it does not name. Needs a built `weir` (WEIR_BIN).
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/node.sh
venv schemathesis 'schemathesis>=4,<5'
start_node WEIR_LIMITS_API_RATE=100000

# It keeps a cache where it is started.
cd "$data"
status=0
timeout --signal=INT 150 "$venv/bin/schemathesis" run "http://$http/api/v1/openapi.json" \
  --url "http://$http/api/v1" -H "Authorization: Bearer $key" --seed 1 --generation-database none --no-color \
  --max-examples "${EXAMPLES:-12}" --request-timeout 10 \
  --exclude-path /events --exclude-path-regex '/nodes/.*/drain' \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,ignored_auth,negative_data_rejection \
  >"$data/report" 2>&1 || status=$?
tail -n 40 "$data/report"
if [ $status -ne 0 ]; then
  grep -n -A25 '^_____' "$data/report" | head -n 150 >&2
  exit $status
fi
