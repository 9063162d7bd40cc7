#!/usr/bin/env bash
# Everything `make demo` and `make test` need on a fresh Debian 12 / Ubuntu 24.04 machine, as root. Idempotent.
# usage: setup.sh [demo|test]
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-test}

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

packages=(python3 python3-venv openvswitch-switch mininet user-mode-linux iproute2 iputils-ping ethtool kmod procps util-linux)
[ "$purpose" = test ] && packages+=(postgresql git chromium prometheus)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    say "missing packages: ${missing[*]}"
    echo "Run this once as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  say "installing packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Tests start PostgreSQL and Open vSwitch themselves, in private folders and namespaces; nothing here needs
  # the packages' own services, so they are not started where a policy can say so.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

# Debian's own interpreter first: the lab's guest kernel starts it from the same file system.
for candidate in /usr/bin/python3 python3; do
  if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "${python:-}" ] || { echo "Python 3.11 or newer with venv is needed" >&2; exit 1; }

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
  say "making .venv with $($python --version)"
  rm -rf .venv
  "$python" -m venv .venv
fi
stamp=.venv/.lock-installed
wanted=$(cat requirements.lock pyproject.toml | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "installing locked Python packages (hashes checked)"
  rm -f "$stamp"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  printf '%s' "$wanted" > "$stamp"
fi
say "ready: $(.venv/bin/python --version), carelane $(.venv/bin/python -c 'import carelane; print(carelane.__version__)')"
