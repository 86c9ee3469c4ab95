#!/bin/sh
# Builds build/Release/podwire.node when a source is newer.  Quiet when it works, the whole log when not.
# Nothing is downloaded.  Headers of Node, first found: NODEDIR, npm's nodedir, node's own prefix, then the package
# node-api-headers, which node-gyp cannot use (no common.gypi): there the compiler is called directly.
set -eu
cd "$(dirname "$0")/.."
output=build/Release/podwire.node

if [ -f "$output" ] && [ -z "$(find native/*.cc native/*.h native/build.sh binding.gyp \
	node_modules/node-addon-api/package.json -newer "$output" 2>/dev/null)" ]; then
	exit 0
fi

fail() {
	echo "native/build.sh: $1" >&2
	exit 1
}
pkg-config --exists libbpf || fail 'libbpf is missing: install libbpf-dev (Debian) or libbpf-devel (Fedora)'
[ -f node_modules/node-addon-api/napi.h ] || fail 'node-addon-api is missing: run npm ci'

# Functions only: they come from the node binary.
has_openssl_headers() {
	[ -f "$1/include/node/openssl/ssl.h" ] || pkg-config --exists 'openssl >= 3' ||
		fail 'no headers of OpenSSL 3: Node'"'"'s own (in the tarball of nodejs.org) or libssl-dev (Debian), openssl-devel (Fedora)'
}

find_nodedir() {
	prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
	for dir in "${NODEDIR:-}" "${npm_config_nodedir:-}" "$(npm config get nodedir 2>/dev/null)" "$prefix"; do
		if [ -f "$dir/include/node/node_api.h" ] && [ -f "$dir/include/node/common.gypi" ]; then
			echo "$dir"
			return
		fi
	done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

with_node_gyp() {
	node_modules/.bin/node-gyp configure build --nodedir="$1" --release --jobs=max && touch "$output"
}

# The flags of binding.gyp.  What pkg-config prints is words.
# shellcheck disable=SC2046
with_compiler() {
	set -x
	mkdir -p build/Release
	"${CXX:-g++}" -shared -fPIC -O3 -std=gnu++20 -Wall -Wextra -fvisibility=hidden -fvisibility-inlines-hidden \
		-DNODE_GYP_MODULE_NAME=podwire -DNAPI_VERSION=9 -D_GNU_SOURCE \
		-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS -DNAPI_CPP_EXCEPTIONS -DBUILDING_NODE_EXTENSION \
		-Inode_modules/node-api-headers/include -Inode_modules/node-addon-api $(pkg-config --cflags libbpf libuv openssl) \
		native/*.cc $(pkg-config --libs libbpf) -o "$output.tmp" && mv "$output.tmp" "$output"
}

nodedir=$(find_nodedir)
has_openssl_headers "$nodedir"
if [ -n "$nodedir" ]; then
	with_node_gyp "$nodedir" >"$log" 2>&1 || { cat "$log" >&2; fail 'node-gyp failed'; }
elif [ -f node_modules/node-api-headers/include/node_api.h ]; then
	pkg-config --exists libuv || fail 'no headers of Node were found, and node-api-headers has no uv.h:
  install libuv1-dev (Debian) or libuv-devel (Fedora), or set NODEDIR to a folder that has include/node/node_api.h'
	(with_compiler) >"$log" 2>&1 || { cat "$log" >&2; fail 'the compiler failed'; }
else
	fail 'no headers of Node: run npm ci (for node-api-headers) and install libuv1-dev, or set NODEDIR to a folder
  that has include/node/node_api.h (the tarball of nodejs.org has them)'
fi
