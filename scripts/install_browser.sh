#!/bin/sh
# Installs what the page's test drives: Debian's Chromium, and Playwright's core package, which
# downloads no browser of its own.
set -eu
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no Chromium, and no apt-get: install a package that has /usr/bin/chromium" >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "no Chromium: run 'sudo apt-get install chromium', then this again" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends chromium >/dev/null \
        || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; }
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "no npm: install Node.js 20 or newer, then run this again" >&2
    exit 1
fi

lock=tests/browser/node_modules/.package-lock.json
if [ ! -e "$lock" ] || [ tests/browser/package-lock.json -nt "$lock" ]; then
    npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error
    touch "$lock"
fi
chromium --version --no-sandbox 2>/dev/null
