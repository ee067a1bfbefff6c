#!/usr/bin/env bash
# A PostgreSQL server for the bench, configured as it comes but for address and port. It is the one that
# tools/mongodb_server.sh unpacked (run under chroot), else the newest that Debian's packages installed here. Needs
# root, because PostgreSQL refuses to run as root and is started as the user postgres.
#
#   postgresql_server.sh available    exit 0 if a server can be started
#   postgresql_server.sh start NAME   start a fresh server on a free port, print its URL
#   postgresql_server.sh stop NAME    stop it and delete its data
#   postgresql_server.sh list         the names of the servers that were started and not stopped
#
# FLASHRESERVE_SERVERS_DIR says where the unpacked one is (/opt/flashreserve-servers). Each NAME has its own data, port
# and processes, so any number can run at once.
set -euo pipefail

UNPACKED=${FLASHRESERVE_SERVERS_DIR:-/opt/flashreserve-servers}/root
PREFIX=flashreserve-postgresql-

say() { echo "postgresql_server: $*" >&2; }

usage() {
  sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
  exit 2
}

# Sets BIN, and ROOT, which is empty for this machine's own server.
find_server() {
  for ROOT in "$UNPACKED" ""; do
    BIN=$(find "$ROOT/usr/lib/postgresql" -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
    BIN=${BIN#"$ROOT"}
    [ -n "$BIN" ] && [ -x "$ROOT$BIN/initdb" ] && return
  done
  return 1
}

as_postgres() { chroot "${ROOT:-/}" su postgres -s /bin/sh -c "cd / && $1"; }

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
  local port
  port=$(free_port)
  mkdir -p "$ROOT$DATA"
  chroot "${ROOT:-/}" chown postgres "$DATA"
  as_postgres "$BIN/initdb -D $DATA -A trust -U postgres --locale=C.UTF-8" >/dev/null
  printf "port=%s\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\n" "$port" >>"$ROOT$DATA/postgresql.conf"
  as_postgres "$BIN/pg_ctl -D $DATA -l $DATA/server.log -w -t 60 start" >/dev/null \
    || { tail -5 "$ROOT$DATA/server.log" >&2; exit 1; }
  echo "postgresql://postgres@127.0.0.1:$port/postgres"
}

stop() {
  [ ! -e "$ROOT$DATA/postmaster.pid" ] || as_postgres "$BIN/pg_ctl -D $DATA -m immediate -w stop" >/dev/null || true
  rm -rf "${ROOT:-}${DATA:?}"
}

list() { find "$ROOT/var/lib" -maxdepth 1 -name "$PREFIX*" -printf '%f\n' | sed "s/^$PREFIX//"; }

COMMAND=${1:-}
NAME=${2:-default}
[[ $NAME =~ ^[a-zA-Z0-9-]+$ ]] || { say "a name is letters, digits and dashes"; exit 2; }
DATA=/var/lib/$PREFIX$NAME

case $COMMAND in
  available) [ "$(id -u)" = 0 ] && find_server ;;
  start | stop | list) find_server || { say "there is no PostgreSQL here: run make servers"; exit 1; }; "$COMMAND" ;;
  *) usage ;;
esac
