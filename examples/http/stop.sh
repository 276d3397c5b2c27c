#!/bin/sh
# Asks for jobs to be stopped through the HTTP API of the console, and waits for the end: with curl.
#
#   VIZSTOP_URL=http://127.0.0.1:9465 VIZSTOP_TOKEN=... sh stop.sh PROJECT BATCH JOB...
#
# The same command with the same batch completes it and doubles nothing.
set -eu
project=$1 batch=$2
shift 2
url=$VIZSTOP_URL/v1/batches/$batch

# The arguments of a program can be read by others on the machine, so the token goes into a file for curl.
config=$(mktemp)
trap 'rm -f "$config"' EXIT
printf 'header = "Authorization: Bearer %s"\n' "$VIZSTOP_TOKEN" >"$config"

# 429 and 503 are tried again, when Retry-After says.
printf '%s\n' job_id "$@" |
	curl --config "$config" --silent --show-error --fail-with-body --retry 5 --request PUT \
		--header 'Content-Type: text/csv' --data-binary @- "$url?project_id=$project"

status='"ended":null'
while case $status in *'"ended":null'*) true ;; *) false ;; esac; do
	status=$(curl --config "$config" --silent --show-error --fail-with-body --retry 5 "$url?wait=30")
done
printf '%s\n' "$status"
if printf '%s' "$status" | grep -qE '"(rejected|expired|canceled|not_found)":[1-9]'; then
	echo 'some jobs may still run' >&2
	exit 2
fi
