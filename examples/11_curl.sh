#!/usr/bin/env bash
# Features with nothing but curl. First a server that has something to answer:
#
#     export VARVE_CLOCK=2001-01-08     # the rows are of January 2001
#     npx varve apply examples/07_definitions.ts
#     npx varve up --no-auth
#
# Then, in another terminal (FEATURES_URL and FEATURES_KEY name another server, and a key of `varve keys create`):
#
#     bash examples/11_curl.sh
set -euo pipefail
url=${FEATURES_URL:-http://127.0.0.1:6566}
key=${FEATURES_KEY:-none}

ask() { # a path, and what to say more to curl
  local path=$1
  shift
  curl --silent --show-error --max-time 10 -H "authorization: Bearer $key" -H 'content-type: application/json' "$@" "$url$path"
  echo
}

echo "May it be asked?"
ask /ready

echo "One vector, with names and statuses:"
ask /api/v1/feature-service/get-features -d '{ "params": {
  "featureServiceName": "delay_model", "joinKeyMap": { "origin": "ATL" },
  "metadataOptions": { "includeNames": true, "includeServingStatus": true, "includeEffectiveTimes": true } } }'

echo "Several at once:"
ask /api/v1/feature-service/get-features-batch -d '{ "params": {
  "feature_service_name": "delay_model",
  "request_data": [{ "join_key_map": { "origin": "ORD" } }, { "join_key_map": { "origin": null } }] } }'

echo "What the service takes and gives:"
ask /api/v2/workspaces/default/feature-services/delay_model/metadata

echo "The same in Feast's words:"
ask /get-online-features -d '{
  "feature_service": "delay_model", "entities": { "origin": ["ATL", "nowhere"] } }'

echo "A mistake:"
ask /api/v1/feature-service/get-features -d '{ "params": {
  "featureServiceName": "delay_model", "joinKeyMap": { "airport": "ATL" } } }'
