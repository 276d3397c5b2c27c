#!/usr/bin/env bash
# Makes 27448ab.rdb anew: plays an evening with the programs of commit 27448ab,
# kills the worker in the middle of a stop call, and saves what Redis then holds.
# README.md, beside this script, tells what is in it.
#
#   27448ab.sh BIN OUT
#
# BIN holds worker, enqueue, simulator and producer (examples/producer), all built
# from 27448ab; OUT is the dump to write. It takes half a minute, needs
# redis-server, redis-cli and curl, and listens on 127.0.0.1:17379 and
# 17464 to 17471 only. Ids and times differ from run to run.
set -euo pipefail
bin=$(realpath "$1") out=$(realpath -m "$2")

a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa # a large evening: jobs are watched by a screen
b=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb # paused
c=cccccccccccccccccccccccccccccccc # a few jobs: polled one by one
long='--deadline 720h'             # the longest that is allowed
hook='http://127.0.0.1:9/x'        # nobody is there, and a worker may not post there anyway

export VIZSTOP_REDIS=redis://127.0.0.1:17379/0 VIZSTOP_REQUESTER=night-shift HW_AUTH_TOKEN=of-nobody
dir=$(mktemp -d)
declare -A pids # of what runs
finish() {
  for pid in "${!pids[@]}"; do
    kill -CONT "$pid" 2>/dev/null || :
    kill -KILL "$pid" 2>/dev/null || :
  done
  rm -rf "$dir"
}
trap finish EXIT

start() { # name, command: runs it in the background; its process id is in $started
  "${@:2}" >"$dir/$1.log" 2>&1 &
  started=$!
  pids[$started]=$1
}
within() { # seconds, what, command: waits until the command succeeds
  local n=$(($1 * 20)) what=$2
  shift 2
  while ! "$@"; do
    if ((n-- == 0)); then echo "not in time: $what" >&2; tail -n 5 "$dir"/*.log >&2; exit 1; fi
    sleep 0.05
  done
}
cli() { redis-cli -p 17379 "$@"; }
enqueue() { "$bin/enqueue" "$@"; }
stop() { enqueue stop --quiet --yes "$@" >/dev/null; }
producer() { "$bin/producer" -redis 127.0.0.1:17379 "$@"; }
fault() { curl -fsS -X POST -d "$1" http://127.0.0.1:17471/faults; }
answers() { curl -fsS -o "$dir/answer" "$1" 2>/dev/null; }
simulate() { # what takes to stop, and how unequal
  start "simulator-$1" "$bin/simulator" --listen 127.0.0.1:17470 --control 127.0.0.1:17471 \
    --project $a --project $b --project $c --jobs 100 --stop-time "$1" --stop-spread "$2"
  simulator=$started
  within 5 simulator answers http://127.0.0.1:17471/counts
}
work() { # name, more settings
  local name=$1
  shift
  start "$name" "$bin/worker" run --endpoint http://127.0.0.1:17470 --listen 127.0.0.1:17464 --api-rate 2 \
    --deadline 720h --retention 8760h --retry-first 1m --log-format text "$@"
  worker=$started
  within 10 worker answers http://127.0.0.1:17464/readyz
}
over() { # signal, process id
  kill "-$1" "$2"
  wait "$2" 2>/dev/null || :
  unset "pids[$2]"
}

start redis redis-server --port 17379 --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no
within 5 redis-server eval '[ "$(redis-cli -p 17379 ping 2>/dev/null)" = PONG ]'

# Earlier: stops that have ended, in every way there is.
simulate 1s 0
work worker-1 --poll-first 500ms --poll-max 1s
enqueue pause --project $b --reason 'migration of the dashboards' >/dev/null
stop --project $b --batch too-late --deadline 1s 1050 # expires: it is paused for longer
{ stop --project $a --batch earlier $long --reason 'end of day' --label shift=late --notify $hook --wait --timeout 60s \
  1000 1001 1002 1003 404404 || :; }
stop --project $a --batch earlier-again $long --wait --timeout 30s 1000 # already stopped
fault '{"operation":"stop","times":1,"http_status":400,"code":"ModelArts.0104","message":"The job is not one of yours"}'
{ stop --project $c --batch refused $long --wait --timeout 30s 1050 || :; }
stop --project $a --batch thought-better --in 2h $long 1004 1005
enqueue cancel thought-better --reason 'still needed' >/dev/null # counted by the worker
producer $a 'not/an/id' >/dev/null # rejected
producer '' 1 >/dev/null           # rejected, in no project
within 30 'an expired stop' eval '[ "$(enqueue stops too-late --csv | grep -c ,expired,)" = 1 ]'
within 30 'a worker that counts' eval '[ "$(cli exists "vizstop:{'$a'}:uncounted")" = 0 ]'
over TERM "$worker"
over KILL "$simulator"

# Now: stops in flight. What stops takes longer than this plays.
simulate 1h 0
work worker-2
stop --project $b --batch paused $long 1000 1001 1002 1003
stop --project $c --batch withdrawn --in 1h $long 1010 1011
stop --project $c --batch in-ten-minutes --in 10m 1012 1013 # with the default deadline
stop --project $a --batch tomorrow --at "$(date -u -d tomorrow +%Y-%m-%dT20:00:00Z)" --spread 10m $long 1090 1091 1092
for i in 0 1 2; do echo '{"project_id":"'$c'","job_id":"100'$i'","team":"vision"}'; done >"$dir/both.jsonl"
for i in 2 3; do echo '{"project_id":"'$a'","job_id":"108'$i'","team":"speech"}'; done >>"$dir/both.jsonl"
stop --from "$dir/both.jsonl" --batch both-projects $long
producer $c 1003 >/dev/null # adopted
stop --project $a --batch evening $long --reason 'end of day' --label shift=late --notify $hook $(seq 1020 1049)
sleep 2
stop --project $a --batch evening-too $long $(seq 1022 1027) $(seq 1060 1069) # joins six of them
producer $a 1020 >/dev/null # joins one

within 60 '14 stopping jobs' eval '(( $(cli zcard "vizstop:{'$a'}:state:stopping") >= 14 ))'
within 60 'a list that was read' eval '(( $(cli hget "vizstop:{'$a'}:screen" looked) > 0 ))'
fault '{"operation":"stop","times":1}' # the connection breaks: nobody knows whether the call has worked
fault '{"operation":"stop","times":1,"http_status":500,"code":"ModelArts.0010","message":"Internal error"}'
sleep 2

# The API hangs, and the worker dies with a stop call on its way.
kill -STOP "$simulator"
stop --project $c --batch in-the-middle $long 1004
s=$(cli lindex "vizstop:{$c}:batch:in-the-middle:stops" 0)
within 5 'a marked call' eval '[ "$(cli hget "vizstop:{'$c'}:stop:'"$s"'" calling)" = "$(cli hget "vizstop:{'$c'}:stop:'"$s"'" hop)" ]'
sleep 0.3
over KILL "$worker"

# While no worker runs.
enqueue cancel withdrawn --reason 'still needed' >/dev/null # nobody has counted it
stop --project $c --batch after-the-crash $long 1020 1021 1022
producer $c 1030 >/dev/null # not taken

cli save >/dev/null
cp "$dir/dump.rdb" "$out"
ls -l "$out"
