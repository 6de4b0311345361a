#!/bin/bash
# The random suites, long. VARVE_SEED repeats a run; the seed that is drawn here is printed first, and by each suite.
set -euo pipefail
export VARVE_DEEP=1
export VARVE_SEED="${VARVE_SEED:-$((RANDOM * 32768 + RANDOM))}"
# Seeds and counts of suites that count by these.
export VARVE_RUNS="${VARVE_RUNS:-300}" VARVE_ROUNDS="${VARVE_ROUNDS:-60}"
echo "VARVE_SEED=$VARVE_SEED VARVE_RUNS=$VARVE_RUNS VARVE_ROUNDS=$VARVE_ROUNDS"
exec npx vitest run --config test/vitest.config.ts --reporter=verbose --testTimeout=3600000 \
  test/sdk/windows_random.test.ts \
  test/sdk/window/ \
  test/sdk/engine/row_conformance.test.ts \
  test/sdk/retrieve/ \
  test/sdk/materialize/window_random.test.ts \
  test/sdk/materialize/window_online.test.ts \
  test/sdk/materialize/random.test.ts \
  test/sdk/materialize/latest_rows.test.ts
