#!/bin/sh
# Builds and starts the whole cluster, and returns when it is ready. Arguments are handed on to `docker compose up`.
set -eu
cd "$(dirname "$0")/.."

secrets=deploy/secrets
if [ ! -e "$secrets" ]; then
    umask 077
    random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
    shop=$(random 32) root=$(random 32) queue=$(random 32)
    # A new directory is renamed once it is whole, so that half of the secrets are never there.
    fresh=$(mktemp -d "$secrets.XXXXXX")
    cat > "$fresh/flashreserve.env" <<END
FLASHRESERVE_SECRET_KEYS=$(random 4):$(random 32)
FLASHRESERVE_METRICS_TOKEN=$(random 32)
FLASHRESERVE_STORE=mongodb://flashreserve:$shop@mongodb:27017/flashreserve?replicaSet=flashreserve
FLASHRESERVE_REDIS_URL=redis://:$queue@redis:6379/0
END
    cat > "$fresh/mongodb.env" <<END
MONGO_INITDB_ROOT_USERNAME=root
MONGO_INITDB_ROOT_PASSWORD=$root
SHOP_PASSWORD=$shop
REPLICA_SET_KEY=$(random 64)
END
    # The server's password, under the names by which valkey-cli looks for it.
    printf 'VALKEYCLI_AUTH=%s\nREDISCLI_AUTH=%s\n' "$queue" "$queue" > "$fresh/redis.env"
    mv "$fresh" "$secrets"
    echo "Made $secrets with fresh keys and passwords. Keep it: without it everybody is signed out, and the database shut."
fi

exec docker compose up --build --detach --wait "$@"
