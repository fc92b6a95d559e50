#!/bin/sh
# Builds the MinIO server from source with the Go toolchain, for the storage tests.
#
# The binary goes to a cache folder outside the project, named by its version, so that a fresh
# clone finds it: ${XDG_CACHE_HOME:-~/.cache}/indic-voice-server/minio-<version>/minio
# (about 110 MB; building takes a few minutes, Go's own caches about 2 GB). Prints its path.
# With --find it builds nothing and prints the path only where the binary is there already.
set -eu

version=v0.0.0-20260212201848-7aac2a2c5b7c
folder="${XDG_CACHE_HOME:-$HOME/.cache}/indic-voice-server/minio-$version"

if [ -x "$folder/minio" ]; then
    echo "$folder/minio"
    exit 0
fi
if [ "${1:-}" = --find ]; then
    exit 0
fi
if ! command -v go >/dev/null 2>&1; then
    echo "no Go toolchain: the storage tests use moto's S3 server instead" >&2
    exit 0
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/build.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
GOBIN="$work" GOFLAGS="-mod=mod -buildvcs=false" CGO_ENABLED=0 \
    go install -p "${MINIO_BUILD_JOBS:-2}" -trimpath -ldflags "-s -w" \
    "github.com/minio/minio@$version" >&2
mv "$work/minio" "$folder/minio"
echo "$folder/minio"
