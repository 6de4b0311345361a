#!/usr/bin/env bash
# The tests run against a real redis-server. Installs Debian's when there is none and we may; otherwise says how, and fails.
set -euo pipefail
if command -v redis-server >/dev/null; then
  redis-server --version
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "redis-server is missing: installing Debian's package"
  export DEBIAN_FRONTEND=noninteractive
  # The tests start servers of their own: the package must not start one.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.varve && chmod +x /usr/sbin/policy-rc.d.varve
  if [ ! -e /usr/sbin/policy-rc.d ]; then mv /usr/sbin/policy-rc.d.varve /usr/sbin/policy-rc.d; made=1; else rm /usr/sbin/policy-rc.d.varve; made=0; fi
  trap '[ "$made" = 1 ] && rm -f /usr/sbin/policy-rc.d' EXIT
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends redis-server >/dev/null
  redis-server --version
  exit 0
fi
echo "Cannot run the tests: redis-server is not on PATH; install it with: sudo apt-get install redis-server" >&2
exit 1
