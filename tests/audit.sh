#!/usr/bin/env bash
# What the server and its pages are made of: bans, licences and sources by cargo-deny, known holes where a database of them
# is given (ADVISORIES, a clone of RustSec's) or a registry answers (npm). Fails where something is wrong or was not checked.
set -uo pipefail
cd "$(dirname "$0")/.."

faults=()
step() {
  echo "== $1"
  shift
  "$@" || faults+=("$*")
}

step 'sources of all lock files' node tests/locks.mjs
step 'licences of crates' node tests/licences.mjs
if cargo deny --version 2>/dev/null; then
  step 'bans, licences, sources' cargo deny --locked check bans licenses sources
  if [ -n "${ADVISORIES:-}" ]; then
    # It is read under the name that cargo-deny gives it.
    step 'known holes of crates' cargo deny --offline check --config <(sed "s|^\[advisories\]|&\ndb-path = \"$ADVISORIES\"|" deny.toml) advisories
  else
    echo '== known holes of crates: not checked, ADVISORIES names no clone of the RustSec database'
  fi
else
  faults+=('cargo-deny is missing: cargo install cargo-deny --locked')
fi
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
for folder in player admin-ui; do
  step "known holes of what $folder bundles" npm_audit "$folder"
done

if [ ${#faults[@]} -gt 0 ]; then
  printf 'audit: failed: %s\n' "${faults[@]}" >&2
  exit 1
fi
