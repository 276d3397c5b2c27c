#!/bin/bash
# A baseline: what somebody writes at a prompt. Stops the jobs whose ids stand
# on standard input, PARALLEL at once, and polls each until it has ended.
#
#   curl.sh ENDPOINT PROJECT PARALLEL POLL-SECONDS < ids
set -euo pipefail
export base="$1/v1/$2/visualization-jobs" poll="$4"

stop_one() {
	until curl -sf -o /dev/null -X POST -H 'Content-Type: application/json' -H "X-Auth-Token: ${HW_AUTH_TOKEN:-}" "$base/$1/stop"; do
		sleep 1
	done
	while sleep "$poll"; do
		status=$(curl -sf -H "X-Auth-Token: ${HW_AUTH_TOKEN:-}" "$base/$1" | grep -o '"status":[0-9]*' | cut -d: -f2) || status=
		case "$status" in 3 | 5 | 10 | 11 | 12 | 13 | 16 | 17 | 20 | 21 | 22) return ;; esac
	done
}
export -f stop_one

xargs -P "$3" -I {} bash -c 'stop_one {}'
