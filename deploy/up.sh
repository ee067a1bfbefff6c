#!/bin/sh
# Builds and starts the whole cluster, and returns when it is ready. Arguments are handed on to `docker compose up`.
set -eu
cd "$(dirname "$0")/.."

secrets=deploy/secrets.env
if [ ! -e "$secrets" ]; then
    umask 077
    random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
    # Written at once, so that no half a file is ever there.
    printf 'FLASHRESERVE_SECRET_KEYS=%s:%s\nFLASHRESERVE_METRICS_TOKEN=%s\n' \
        "$(random 4)" "$(random 32)" "$(random 24)" > "$secrets.new"
    mv "$secrets.new" "$secrets"
    echo "Made $secrets with fresh keys. Keep it: whoever loses it signs everybody out."
fi

exec docker compose up --build --detach --wait "$@"
