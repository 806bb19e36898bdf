#!/usr/bin/env bash
# A Docker engine of our own for the tests in tests/deploy/engine, apart from any other on the machine:
#
#   .ci/engine.sh start DIR    install and start it; prints DOCKER_HOST=... when it answers
#   .ci/engine.sh stop DIR     end it by its process id, remove DIR, and leave the machine's network as
#                              it was
#
# Where no registry of images can be reached, the official images have stand-ins made from Debian's
# packages under the names that our files use. A build on a stand-in shows that the instructions run,
# not that they run on the official base. The stand-ins stay on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

command=${1:?start or stop}
dir=${2:?a directory of its own}
python_image=${PYTHON_IMAGE:-python:3.11-slim}
prometheus_image=${PROMETHEUS_IMAGE:-prom/prometheus:v3.5.0}
client_image=${DOCKER_CLI_IMAGE:-docker:28-cli}
tables="filter nat raw"
# Debian's client: another one on the path may be too new for this engine.
docker() { /usr/bin/docker --host "unix://$dir/docker.sock" "$@"; }

install_engine() {
    local wanted=(dockerd:docker.io mmdebstrap:mmdebstrap iptables:iptables ip:iproute2
        prometheus:prometheus)
    local packages=() pair
    for pair in "${wanted[@]}"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
    done
    ((${#packages[@]})) || return 0
    local as_root=()
    if ((EUID != 0)); then as_root=(sudo -n); fi
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
        "${packages[@]}" >/dev/null
}

# What an engine changes in the machine's network, and does not take back when it ends.
note_network() {
    [ ! -s "$dir/ip_forward" ] || return 0
    ls /sys/class/net >"$dir/links"
    local table
    for table in $tables; do
        iptables-save -t "$table" >"$dir/iptables-$table" 2>/dev/null || true
    done
    cat /proc/sys/net/ipv4/ip_forward >"$dir/ip_forward"
}

restore_network() {
    [ -s "$dir/ip_forward" ] || return 0
    # Another engine of the machine needs the same chains.
    ! grep -q '^:DOCKER ' "$dir"/iptables-* || return 0
    local link table chains chain rule policy
    for link in $(cd /sys/class/net && ls -d docker0 br-* 2>/dev/null); do
        grep -qx "$link" "$dir/links" || ip link delete "$link" || true
    done
    for table in $tables; do
        chains=$(iptables-save -t "$table" 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\) .*/\1/p')
        for chain in $chains; do iptables -t "$table" -F "$chain"; done
        iptables-save -t "$table" 2>/dev/null | grep -E '^-A .*(DOCKER|docker0|br-[0-9a-f]{12})' |
            while read -r _ rule; do xargs iptables -t "$table" -D <<<"$rule"; done || true
        for chain in $chains; do iptables -t "$table" -X "$chain"; done
    done
    policy=$(sed -n 's/^:FORWARD \([A-Z]*\) .*/\1/p' "$dir/iptables-filter")
    iptables -P FORWARD "${policy:-ACCEPT}"
    cat "$dir/ip_forward" >/proc/sys/net/ipv4/ip_forward
}

start_engine() {
    mkdir -p "$dir"
    note_network
    # Addresses for benchmarking networks, which meet nobody's own; ports on loopback only.
    cat >"$dir/daemon.json" <<'JSON'
{"oom-score-adjust": 0, "bip": "198.18.0.1/24", "ip": "127.0.0.1",
 "default-address-pools": [{"base": "198.19.0.0/16", "size": 24}]}
JSON
    setsid dockerd --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" \
        --pidfile "$dir/dockerd.pid" --host "unix://$dir/docker.sock" >"$dir/dockerd.log" 2>&1 &
    local try
    for try in $(seq 100); do
        docker info >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "the engine did not answer; $dir/dockerd.log ends with:" >&2
    tail -n 5 "$dir/dockerd.log" >&2
    return 1
}

make_stand_ins() {
    docker image inspect "$python_image" "$prometheus_image" "$client_image" >/dev/null 2>&1 && return
    local root=$dir/stand-in
    mkdir -p "$root/python" "$root/prometheus" "$root/client"
    # What the official slim images leave out of Debian is left out here too, so that the sizes of
    # images built on the stand-in mean something.
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3-venv,usr-is-merged \
        --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        bookworm "$root/rootfs.tar" >"$root/log" 2>&1 || { tail -n 3 "$root/log" >&2; return 1; }
    docker import "$root/rootfs.tar" stand-in-rootfs:bookworm >/dev/null
    rm "$root/rootfs.tar"

    # What pip needs to reach this machine's package index: its address, and who signs for it.
    cp /etc/ssl/certs/ca-certificates.crt "$root/python/ca.crt"
    {
        echo "[global]"
        echo "cert = /etc/ssl/certs/ca-certificates.crt"
        local index
        index=$(python3 -m pip config get global.index-url 2>/dev/null) && echo "index-url = $index"
    } >"$root/python/pip.conf"
    cat >"$root/python/Dockerfile" <<'DOCKERFILE'
FROM stand-in-rootfs:bookworm
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python \
    && python "$(echo /usr/share/python-wheels/pip-*.whl)/pip" install --quiet --no-compile --no-index \
        --find-links /usr/share/python-wheels --root-user-action ignore pip
CMD ["python3"]
DOCKERFILE
    docker build --quiet --tag "$python_image" "$root/python" >/dev/null

    cp "$(command -v prometheus)" "$root/prometheus/"
    cat >"$root/prometheus/Dockerfile" <<'DOCKERFILE'
FROM stand-in-rootfs:bookworm
COPY prometheus /bin/prometheus
RUN install -d -o 65534 -g 65534 /prometheus /etc/prometheus
USER 65534:65534
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
DOCKERFILE
    docker build --quiet --tag "$prometheus_image" "$root/prometheus" >/dev/null

    # A client for the chaos overlay.
    cp /usr/bin/docker "$root/client/"
    cat >"$root/client/Dockerfile" <<'DOCKERFILE'
FROM stand-in-rootfs:bookworm
COPY docker /usr/local/bin/docker
CMD ["sh"]
DOCKERFILE
    docker build --quiet --tag "$client_image" "$root/client" >/dev/null
}

stop_engine() {
    if [ -s "$dir/dockerd.pid" ]; then
        local pid try
        pid=$(cat "$dir/dockerd.pid")
        kill "$pid" 2>/dev/null || true
        for try in $(seq 150); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.2
        done
    fi
    # Namespaces of networks stay mounted after the engine has gone.
    local mounted
    while read -r mounted; do umount "$mounted" 2>/dev/null || true; done \
        < <(awk -v dir="$dir/" 'index($2, dir) == 1 {print $2}' /proc/self/mounts | tac)
    restore_network
    rm -rf "$dir"
}

case $command in
start)
    install_engine
    start_engine
    make_stand_ins
    echo "DOCKER_HOST=unix://$dir/docker.sock"
    ;;
stop) stop_engine ;;
*)
    echo "start or stop, not $command" >&2
    exit 2
    ;;
esac
