#!/usr/bin/env bash
# A MongoDB-protocol server for tests, on a Debian machine without mongod or a container engine: FerretDB 2 (built from
# its Go module) over PostgreSQL 18 with the DocumentDB extension (Debian packages of a newer release, unpacked into a
# directory of their own and run under chroot). Needs root. Nothing of the machine's own PostgreSQL is touched.
#
#   mongodb_server.sh install        unpack and build, once; a second run finds all there and does nothing
#   mongodb_server.sh installed      exit 0 if that was done
#   mongodb_server.sh start NAME     start a fresh server on free ports, print its URL
#   mongodb_server.sh kill NAME      kill -9 database and gateway, keep the data
#   mongodb_server.sh resume NAME    start again on the kept data and the same ports, print the URL
#   mongodb_server.sh stop NAME      stop it and delete its data
#   mongodb_server.sh pids NAME      print the process ids of its PostgreSQL, none where it doesn't run
#   mongodb_server.sh list           the names of the servers that were started and not stopped
#
# FLASHRESERVE_SERVERS_DIR says where it is installed (/opt/flashreserve-servers). Each NAME has its own data, ports and
# processes, so any number can run at once.
#
# It speaks wire version 21 (reports 7.0) and has unique, partial and multikey indexes, findAndModify, update pipelines
# and aggregation. It has no multi-document transactions, no change streams and no replica set.
set -euo pipefail

HOME_DIR=${FLASHRESERVE_SERVERS_DIR:-/opt/flashreserve-servers}
ROOT=$HOME_DIR/root
GATEWAY=$HOME_DIR/bin/ferretdb
GATEWAY_MODULE=github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0
RELEASE=forky
PG_BIN=/usr/lib/postgresql/18/bin
EXTENSION=/usr/share/postgresql/18/extension/documentdb.control
GO_MINOR_MIN=25

say() { echo "mongodb_server: $*" >&2; }

usage() {
  sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
  exit 2
}

# ---------------------------------------------------------------------------------------------------------- installing

installed() { [ -x "$ROOT$PG_BIN/postgres" ] && [ -e "$ROOT$EXTENSION" ] && [ -x "$GATEWAY" ]; }

install_all() {
  installed && return
  [ "$(id -u)" = 0 ] || { say "installing needs root"; exit 1; }
  command -v apt-get >/dev/null || { say "installing needs a Debian machine (apt-get)"; exit 1; }
  mkdir -p "$HOME_DIR/bin" "$HOME_DIR/run"
  exec 9>"$HOME_DIR/install.lock"
  flock 9 # of two installations at once, the second waits, and finds everything installed
  installed || { install_database; install_gateway; }
  exec 9>&-
}

# Prints the mirror that apt uses.
debian_mirror() {
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -1
}

install_database() {
  [ -x "$ROOT$PG_BIN/postgres" ] && [ -e "$ROOT$EXTENSION" ] && return
  say "installing PostgreSQL 18 and DocumentDB into $ROOT (about two minutes, once)"
  if ! command -v debootstrap >/dev/null; then
    apt-get update -qq >&2
    apt-get install -y -qq debootstrap >&2
  fi
  local mirror
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || { say "apt knows no Debian mirror; run apt-get update"; exit 1; }
  rm -rf "$ROOT"
  # An older debootstrap doesn't know the release by name, but every release is made like sid.
  debootstrap --variant=minbase "$RELEASE" "$ROOT" "$mirror" /usr/share/debootstrap/scripts/sid \
    >"$HOME_DIR/debootstrap.log" 2>&1 || { tail -5 "$HOME_DIR/debootstrap.log" >&2; exit 1; }
  chroot_install postgresql-18 postgresql-18-documentdb
  chroot "$ROOT" id postgres >/dev/null 2>&1 || chroot "$ROOT" useradd -r -m postgres
  [ -x "$ROOT$PG_BIN/postgres" ] && [ -e "$ROOT$EXTENSION" ] || { tail -5 "$HOME_DIR/apt.log" >&2; exit 1; }
}

# Configuring a package may fail in a bare chroot. Only the unpacked files are needed, and the caller checks for them.
chroot_install() {
  chroot "$ROOT" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
    >>"$HOME_DIR/apt.log" 2>&1 || true
}

install_gateway() {
  [ -x "$GATEWAY" ] && return
  say "building FerretDB (about two minutes, once)"
  if go_is_recent; then
    GOBIN=$HOME_DIR/bin CGO_ENABLED=0 go install "$GATEWAY_MODULE" >"$HOME_DIR/go.log" 2>&1 \
      || { tail -5 "$HOME_DIR/go.log" >&2; exit 1; }
  else
    build_in_chroot
  fi
}

go_is_recent() {
  local version
  version=$(go env GOVERSION 2>/dev/null) || return 1
  version=${version#go1.}
  [ "${version%%.*}" -ge "$GO_MINOR_MIN" ]
}

# Builds with the newer release's Go in the chroot, if this machine's Go is missing or too old. It uses this machine's
# network settings.
build_in_chroot() {
  chroot_install golang-go ca-certificates
  [ -x "$ROOT/usr/bin/go" ] || { tail -5 "$HOME_DIR/apt.log" >&2; exit 1; }
  cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/"
  mkdir -p "$ROOT/proc"
  # Go finds its own root through /proc. A private mount namespace makes sure that it doesn't stay mounted.
  unshare --mount sh -c "mount -t proc proc '$ROOT/proc' && chroot '$ROOT' env HOME=/root GOBIN=/usr/local/bin \
    CGO_ENABLED=0 GOTOOLCHAIN=local go install $GATEWAY_MODULE" >"$HOME_DIR/go.log" 2>&1 \
    || { tail -5 "$HOME_DIR/go.log" >&2; exit 1; }
  cp "$ROOT/usr/local/bin/ferretdb" "$GATEWAY"
}

# ------------------------------------------------------------------------------------------------------------- running

as_postgres() { chroot "$ROOT" su postgres -s /bin/sh -c "cd / && $1"; }

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

alive() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }

initialise() {
  port=$(free_port) pg_port=$(free_port)
  mkdir -p "$RUN" "$ROOT$DATA"
  printf 'port=%s\npg_port=%s\n' "$port" "$pg_port" >"$RUN/ports"
  chroot "$ROOT" chown postgres "$DATA"
  as_postgres "$PG_BIN/initdb -D $DATA -A trust -U postgres --locale=C.UTF-8" >/dev/null
  # Concurrent inserts for one customer can deadlock in the unique index. PostgreSQL detects a deadlock after a second
  # by default; then the extension retries, and may meet the next deadlock. MongoDB itself has no such locks.
  cat >>"$ROOT$DATA/postgresql.conf" <<CONF
port=$pg_port
listen_addresses='127.0.0.1'
unix_socket_directories=''
shared_preload_libraries='pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name='postgres'
max_connections=200
shared_buffers=256MB
deadlock_timeout=20ms
CONF
}

up() {
  . "$RUN/ports"
  as_postgres "$PG_BIN/pg_ctl -D $DATA -l $DATA/server.log -w -t 60 start" >/dev/null \
    || { tail -5 "$ROOT$DATA/server.log" >&2; exit 1; }
  as_postgres "psql -qX -h 127.0.0.1 -p $pg_port -c 'CREATE EXTENSION IF NOT EXISTS documentdb CASCADE'" >/dev/null 2>&1
  setsid nohup "$GATEWAY" --listen-addr="127.0.0.1:$port" --debug-addr=- --no-auth --telemetry=disable \
    --postgresql-url="postgres://postgres@127.0.0.1:$pg_port/postgres" --state-dir="$RUN" --log-level=warn \
    >"$RUN/ferretdb.log" 2>&1 </dev/null &
  local gateway=$!
  echo "$gateway" >"$RUN/ferretdb.pid"
  while alive "$gateway"; do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && { echo "mongodb://127.0.0.1:$port/"; return; }
    sleep 0.1
  done
  tail -5 "$RUN/ferretdb.log" >&2
  exit 1
}

# Kills processes that we started, and waits until they have ended.
kill_hard() {
  kill -9 "$@" 2>/dev/null || true
  local pid
  for pid in "$@"; do while alive "$pid"; do sleep 0.02; done; done
}

down() {
  if [ -e "$RUN/ferretdb.pid" ]; then
    kill_hard "$(cat "$RUN/ferretdb.pid")"
    rm -f "$RUN/ferretdb.pid"
  fi
  # shellcheck disable=SC2046
  kill_hard $(pids)
  rm -f "$ROOT$DATA/postmaster.pid"
}

pids() {
  [ -e "$ROOT$DATA/postmaster.pid" ] || return 0
  local postmaster
  postmaster=$(head -1 "$ROOT$DATA/postmaster.pid")
  alive "$postmaster" || return 0
  echo "$postmaster"
  # grep fails if a process ends during the search, even if it found others.
  { grep -ls "^PPid:[[:space:]]*$postmaster\$" /proc/[0-9]*/status || true; } | cut -d/ -f3
}

discard() { down; rm -rf "${ROOT:?}$DATA" "$RUN"; }

COMMAND=${1:-}
NAME=${2:-default}
[[ $NAME =~ ^[a-zA-Z0-9-]+$ ]] || { say "a name is letters, digits and dashes"; exit 2; }
RUN=$HOME_DIR/run/$NAME
DATA=/var/lib/flashreserve-$NAME

case $COMMAND in
  install) install_all ;;
  installed) installed ;;
  start) installed || { say "not installed; run $0 install"; exit 1; }; discard; initialise; up ;;
  kill) down ;;
  resume) up ;;
  stop) discard ;;
  pids) pids ;;
  list) ls "$HOME_DIR/run" 2>/dev/null || true ;;
  *) usage ;;
esac
