#!/usr/bin/env bash
# Makes sure that the programs are here which the tests run: on Debian as root by installing them, else by saying what
# is missing. No service is started: the tests start their own, privately.
set -euo pipefail

declare -A package=([ffmpeg]=ffmpeg [chromium]=chromium [firefox-esr]=firefox-esr [redis-server]=redis-server
  [haproxy]=haproxy [initdb]=postgresql [promtool]=prometheus)

has() {
  if [ "$1" = initdb ]; then
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
  else
    command -v "$1" >/dev/null
  fi
}

missing=()
for program in "${!package[@]}"; do
  has "$program" || missing+=("${package[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need these Debian packages: ${missing[*]}" >&2
  echo "Install them: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "Installing for the tests: ${missing[*]}"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core >/dev/null
