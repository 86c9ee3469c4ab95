#!/bin/sh
# Writes the TypeScript types of src/xds/proto to src/xds/gen (git-ignored); does nothing when they are up to date.
# shellcheck disable=SC2046
set -eu
cd "$(dirname "$0")"
if [ -e gen/.stamp ] && [ -z "$(find proto gen.sh -newer gen/.stamp -print -quit)" ]; then
  exit 0
fi
# Beside it first, so that a compiler that runs meanwhile never sees half of it.
next=gen.$$
trap 'rm -rf "$next"' EXIT
mkdir "$next"
../../node_modules/.bin/proto-loader-gen-types --keepCase --longs String --enums String --defaults --oneofs \
  --importFileExtension=.ts --grpcLib=@grpc/grpc-js --outDir="$next" -I proto -- \
  $(cd proto && find . -name '*.proto' | sed 's|^\./||' | sort) >/dev/null
touch "$next/.stamp"
rm -rf gen
mv "$next" gen
