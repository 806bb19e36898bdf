#!/bin/sh
# Makes workers of a compose project freeze, die and crawl, one at a time, so that Grafana has something
# to show. Needs a docker client and the right to use its engine; ends on SIGTERM.
#
#   COMPOSE_PROJECT_NAME=erasurehead docker/chaos.sh
#
# EVERY_S is the pause between two misfortunes, LASTS_S how long one lasts, CPUS what a throttled
# worker gets, ROUNDS how many misfortunes there are (0: no end).
set -eu

project=${COMPOSE_PROJECT_NAME:-erasurehead}
every=${EVERY_S:-20}
lasts=${LASTS_S:-10}
cpus=${CPUS:-0.02}
usual=${WORKER_CPUS:-0.5}
rounds=${ROUNDS:-0}

say() { echo "$(date -u +%H:%M:%S) $*"; }

# Whoever ends this leaves nobody frozen, throttled or dead.
victim=""
heal() {
    [ -n "$victim" ] || return 0
    docker unpause "$victim" >/dev/null 2>&1 || true
    docker start "$victim" >/dev/null 2>&1 || true
    docker update --cpus "$usual" "$victim" >/dev/null 2>&1 || true
    victim=""
}
trap 'heal; exit 0' TERM INT
trap heal EXIT

# A sleep that a signal can interrupt.
nap() {
    sleep "$1" &
    wait $! || true
}

# On a busy machine the engine now and then gives up ("unable to freeze"): threads must run to get
# into the freezer. So the victim gets its usual share of the processor first, and there are some tries.
freeze() {
    docker update --cpus "$usual" "$victim" >/dev/null
    for _ in 1 2 3 4; do
        if docker pause "$victim" >/dev/null 2>&1; then return 0; fi
        nap 1
    done
    docker pause "$victim" >/dev/null
}

# One misfortune that the engine refuses (the victim has just ended, say) is no end of the others.
inflict() {
    "$@" >/dev/null || say "the engine refuses; goes on with the next"
}

done=0
while [ "$rounds" -eq 0 ] || [ "$done" -lt "$rounds" ]; do
    nap "$every"
    victim=$(docker ps --quiet \
        --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.service=worker | shuf -n 1)
    [ -n "$victim" ] || continue
    case $((done % 3)) in
    0)
        say "freezes $victim for $lasts s"
        inflict freeze
        ;;
    1)
        say "kills $victim, back after $lasts s"
        inflict docker kill "$victim"
        ;;
    2)
        say "throttles $victim to $cpus cores for $lasts s"
        inflict docker update --cpus "$cpus" "$victim"
        ;;
    esac
    nap "$lasts"
    heal
    done=$((done + 1))
done
