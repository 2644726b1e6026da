# For scripts to source: starts a private node, whose data go when the script ends.
#   start_node [VARIABLE=VALUE...]   sets $node (its process), $data, $http, $key
weir=${WEIR_BIN:-${CARGO_TARGET_DIR:-target}/debug/weir}
key=test_key_0123456789_0123456789_0123456789

start_node() {
  data=$(mktemp -d)
  trap 'kill "$node" 2>/dev/null || true; wait "$node" 2>/dev/null || true; rm -rf "$data"' EXIT
  env -u WEIR_BIN WEIR_DATA_DIR="$data" WEIR_ADMIN_KEY=$key WEIR_LOG_FORMAT=json WEIR_HTTP_LISTEN=127.0.0.1:0 \
    WEIR_RTMP_LISTEN=127.0.0.1:0 WEIR_INTERNAL_LISTEN=127.0.0.1:0 "$@" "$weir" serve 2>"$data/log" &
  node=$!
  for _ in $(seq 100); do
    http=$(sed -n 's/.*"message":"ready".*"http":"\([^"]*\)".*/\1/p' "$data/log")
    [ -n "$http" ] && return
    sleep 0.1
  done
  cat "$data/log" >&2
  return 1
}

# A Python program of its own: `venv NAME REQUIREMENT` sets $venv, beside what cargo builds.
venv() {
  venv=$(realpath -m "${CARGO_TARGET_DIR:-target}")/$1
  [ -x "$venv/bin/$1" ] && return
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "$2"
}
