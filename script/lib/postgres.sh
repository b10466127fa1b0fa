# shellcheck shell=bash disable=SC2034 # the caller reads PG_URL and PG_BIN
# A PostgreSQL server of one's own: found or installed, started on a free
# loopback port over an empty cluster, and gone afterwards. For `source`.
#
#   pg_start FOLDER [SETTING=VALUE…]   sets PG_URL (a superuser's) and PG_BIN
#   pg_pid                             prints the server's first process id
#   pg_stop                            ends the server and deletes its cluster
#
# pg_start returns 1 after saying why when there is no server to be had.

PG_BIN=
PG_URL=
pg_folder=
pg_user=

# pg_find prints the newest folder that holds the server's programs.
pg_find() {
  local folder
  for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -Vr); do
    if [[ -x $folder/initdb && -x $folder/postgres ]]; then
      echo "$folder"
      return 0
    fi
  done
  if command -v initdb >/dev/null && command -v postgres >/dev/null; then
    dirname "$(command -v initdb)"
    return 0
  fi
  return 1
}

# pg_install installs Debian's package without the cluster that it would set up
# and start by itself.
pg_install() {
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "no PostgreSQL server found: install one (Debian: apt-get install postgresql)," \
      "or set TEST_DATABASE_URL" >&2
    return 1
  fi
  echo "installing PostgreSQL from Debian's packages" >&2
  {
    apt-get update &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-common &&
      sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
  } >"$1" 2>&1 </dev/null || {
    tail -20 "$1" >&2
    echo "PostgreSQL could not be installed" >&2
    return 1
  }
}

# pg_as runs a command as the server's user: PostgreSQL refuses to run as root.
pg_as() {
  if [[ -n $pg_user ]]; then
    (cd / && runuser -u "$pg_user" -- "$@")
  else
    "$@"
  fi
}

pg_start() {
  local folder=$1 password setting
  shift
  mkdir -p "$folder"
  PG_BIN=$(pg_find) || {
    pg_install "$folder/install.log" || return 1
    PG_BIN=$(pg_find) || return 1
  }
  if [[ $EUID -eq 0 ]]; then
    pg_user=postgres
    id -u "$pg_user" >/dev/null 2>&1 || pg_user=nobody
  fi
  # Outside the caller's folder: the server's user must be able to enter it,
  # and the path of its socket may not be long.
  pg_folder=$(mktemp -d /tmp/dfm-pg.XXXXXX)
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "$password" >"$pg_folder/password"
  if [[ -n $pg_user ]]; then chown -R "$pg_user" "$pg_folder"; fi

  pg_as "$PG_BIN/initdb" -D "$pg_folder/data" -U postgres -E UTF8 --locale=C.UTF-8 \
    --auth=scram-sha-256 --pwfile="$pg_folder/password" >"$folder/initdb.log" 2>&1 || {
    cat "$folder/initdb.log" >&2
    pg_stop
    return 1
  }
  {
    echo "listen_addresses = '127.0.0.1'"
    echo "unix_socket_directories = '$pg_folder'"
    echo "max_connections = 200"
    for setting in "$@"; do echo "$setting"; done
  } >>"$pg_folder/data/postgresql.conf"

  local port
  for _ in 1 2 3 4 5 6; do
    # Below the range from which the kernel takes ports by itself.
    port=$((20000 + RANDOM % 12000))
    if pg_as "$PG_BIN/pg_ctl" -D "$pg_folder/data" -w -t 30 -s -o "-p $port" \
      -l "$pg_folder/server.log" start >"$folder/start.log" 2>&1; then
      PG_URL="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
      return 0
    fi
  done
  cat "$folder/start.log" "$pg_folder/server.log" >&2 || true
  echo "the throw-away PostgreSQL did not start" >&2
  pg_stop
  return 1
}

pg_pid() {
  head -1 "$pg_folder/data/postmaster.pid"
}

pg_stop() {
  [[ -n $pg_folder ]] || return 0
  if [[ -e $pg_folder/data/postmaster.pid ]]; then
    pg_as "$PG_BIN/pg_ctl" -D "$pg_folder/data" -m immediate -w -s stop >/dev/null 2>&1 || true
  fi
  rm -rf "$pg_folder"
  pg_folder=
  PG_URL=
}
