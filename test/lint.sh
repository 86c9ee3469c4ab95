#!/bin/sh
# lint.sh: format and lint of everything; runs all checks and fails at the end, so that one run shows all there is to mend.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/node_modules/.bin:$PATH
failed=

check() {
  name=$1
  shift
  if ! "$@"; then
    failed="$failed $name"
    echo "lint: $name failed" >&2
  fi
}

# clang_format STYLE FILE...: version 14, the one whose output is agreed on; another version breaks lines elsewhere.
clang_format() {
  style=$1
  shift
  [ $# -gt 0 ] || return 0
  if ! command -v clang-format-14 >/dev/null 2>&1; then
    echo "lint: clang-format-14 is missing (Debian package clang-format-14); sudo npm test installs it" >&2
    return 1
  fi
  clang-format-14 --dry-run -Werror --style="file:$style" "$@"
}

# sources GLOB...: the files that git knows or would take, without what is only built.
sources() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ ! -e "$file" ] || echo "$file"; done; }

# shellcheck disable=SC2046
clang_formats() {
  status=0
  clang_format bpf/.clang-format $(sources 'bpf/*.[ch]' 'test/*.[ch]') || status=1
  clang_format native/.clang-format $(sources 'native/*.cc' 'native/*.h') || status=1
  return $status
}

# shellcheck disable=SC2046
shell_scripts() {
  command -v shellcheck >/dev/null 2>&1 || return 0
  # SC2046: lists of packages and flags are split into words on purpose
  shellcheck -S warning -e SC2046 $(sources '*.sh' .ci/run)
}

# The type-aware rules need the generated sources.
check gen:proto sh src/xds/gen.sh
check oxlint oxlint --type-aware --deny-warnings --quiet src test
check prettier prettier --check --log-level warn .
check clang-format clang_formats
check check:abi npm run -s check:abi
check shellcheck shell_scripts

if [ -n "$failed" ]; then
  echo "lint: FAILED:$failed" >&2
  exit 1
fi
echo "lint: ok"
