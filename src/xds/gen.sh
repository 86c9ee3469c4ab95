#!/bin/sh
# Writes the TypeScript types of src/xds/proto to src/xds/gen (git-ignored); does nothing when they are up to date.
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
  --importFileExtension=.ts --grpcLib=@grpc/grpc-js --outDir="$next" -I proto -- workload.proto authorization.proto \
  podwire/lb.proto envoy/service/discovery/v3/discovery.proto istio/v1/auth/ca.proto >/dev/null
touch "$next/.stamp"
rm -rf gen
mv "$next" gen
