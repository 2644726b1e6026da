#!/usr/bin/env bash
# Asks a node whatever its OpenAPI document allows, and what it does not, for about a minute: no server error, no answer
# that the document does not tell of, no method that it does not name, and what it allows is done. As the platform and as
# the owner of a tenant: a platform key must name the tenant in what it sends, which no schema tells, so for it the last
# of these is left out. Needs a built `weir` (WEIR_BIN).
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/node.sh
venv schemathesis 'schemathesis>=4,<5'
start_node WEIR_LIMITS_API_RATE=100000
tests=$PWD/tests
api=http://$http/api/v1

make() { curl -sS --fail -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$api/$1" -d "$2" | sed 's/.*"'"$3"'":"\([^"]*\)".*/\1/'; }
tenant=$(make tenants '{"name": "a"}' id)
owner=$(make api-keys '{"tenant": "'"$tenant"'", "role": "owner", "name": "b"}' key)

# As `ask KEY OPTION...`
ask() {
  local as=$1 status=0
  shift
  SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=$tests timeout --signal=INT 150 \
    "$venv/bin/schemathesis" --config-file "$tests/schemathesis.toml" run "$api/openapi.json" \
    --url "$api" -H "Authorization: Bearer $as" --seed 1 --generation-database none --no-color \
    --max-examples "${EXAMPLES:-12}" --request-timeout 10 \
    --exclude-path /events --exclude-path-regex '/nodes/.*/drain' "$@" >"$data/report" 2>&1 || status=$?
  tail -n 40 "$data/report"
  if [ $status -ne 0 ]; then
    grep -n -A25 '^_____' "$data/report" | head -n 150 >&2
    exit $status
  fi
}

# It keeps a cache where it is started.
cd "$data"
ask "$key" --exclude-checks positive_data_acceptance
ask "$owner"
