#!/bin/sh
# Installs PostgreSQL's server from Debian's packages, for the tests of the index of calls.
#
# Prints the folder of its programs. With --find it installs nothing and prints the folder only
# where the programs are there already. No database is made and nothing is left running.
set -eu

found() {
    for folder in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin; do
        if [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ]; then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

if found; then
    exit 0
fi
if [ "${1:-}" = --find ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "no PostgreSQL, and no apt-get: install a package that has postgres and initdb" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "no PostgreSQL: run 'sudo apt-get install postgresql', then this again" >&2
    exit 1
fi
# Debian makes and starts a database of its own with the package, unless it is told not to.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] \
    || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends postgresql >/dev/null \
    || { apt-get update -qq && apt-get install -qq -y --no-install-recommends postgresql >/dev/null; }
found
