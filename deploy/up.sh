#!/bin/sh
# Builds and starts the whole cluster, and returns when it is ready. Arguments are passed on to `docker compose up`.
set -eu
cd "$(dirname "$0")/.."

secrets=deploy/secrets
if [ ! -e "$secrets" ]; then
    umask 077
    random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
    shop=$(random 32) root=$(random 32) queue=$(random 32)
    # The new directory is renamed once it is complete, so that an interruption never leaves only some of the secrets.
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
    # The server's password, in the variables that valkey-cli reads.
    printf 'VALKEYCLI_AUTH=%s\nREDISCLI_AUTH=%s\n' "$queue" "$queue" > "$fresh/redis.env"
    mv "$fresh" "$secrets"
    echo "Made $secrets with fresh keys and passwords. Keep it: without it everybody is signed out, and the database shut."
fi

exec docker compose up --build --detach --wait "$@"
