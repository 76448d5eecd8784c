# What the scripts share. Each setting may come from outside; there is one cluster a machine.
cache_home() {      # also where HOME is unset
    local home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
    echo "${XDG_CACHE_HOME:-${home:-/var/tmp}/.cache}"
}
CACHE=${DLI_CLUSTER_CACHE:-$(cache_home)/dli-cluster}         # programs and images: worth keeping
RUN=${DLI_CLUSTER_RUN:-/tmp/dli-cluster}                      # of the running cluster: gone after `down`
NODES=${DLI_CLUSTER_NODES:-2}
BIN=$CACHE/bin
IMAGES=$CACHE/images
export KUBECONFIG=$RUN/admin.conf PATH=$PATH:/usr/sbin:/sbin

# The bridge is on this machine and the nodes hang on it. Nothing of the machine's own network
# (interfaces, iptables, ip_forward) is touched, and nothing leaves the machine.
BRIDGE=dlik8s0
NET=10.97.0                                                   # bridge $NET.1, node N is $NET.(1+N)
SERVICES=10.96.0.0/16
API=https://$NET.1:6443

say() { echo "cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local end=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "gave up waiting for $what; logs are in $RUN/log"
        sleep 0.1
    done
}

# A process is known by its id and the moment of its start: ids are used again.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
alive() {           # alive NAME: whether the process that `launch` started is still there
    local pid when
    read -r pid when 2>/dev/null <"$RUN/pid/$1" && [ "$(started "$pid")" = "$when" ] &&
        grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status"
}

# define NAME COMMAND...: how a process is started, kept so that a test can start it again
define() {
    local name=$1; shift
    printf '#!/bin/sh\nexec %s\n' "$(printf '%q ' "$@")" >"$RUN/cmd/$name"
    chmod +x "$RUN/cmd/$name"
}

# launch NAME: in the background, a session of its own, with a log
launch() {
    alive "$1" && return
    setsid "$RUN/cmd/$1" >>"$RUN/log/$1" 2>&1 </dev/null 9>&- &
    local pid=$!
    if grep -q nsenter "$RUN/cmd/$1"; then                    # the process is its only child
        wait_for 10 "$1" pgrep -P "$pid"
        pid=$(pgrep -P "$pid")
    fi
    echo "$pid $(started "$pid")" >"$RUN/pid/$1"
}
