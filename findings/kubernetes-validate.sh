#!/usr/bin/env bash
# One would guess: a validator of Kubernetes manifests called with --strict refuses what the server
#   refuses at once: a quantity of 100x, a request above its limit, minus two replicas, a port of
#   99999, a selector that does not fit the labels beside it, two containers of one name, and an
#   apiVersion that no release has served.
# What happens: all of these pass with exit code 0, the apiVersion with a warning. --strict adds one
#   thing only: properties that the schema does not know are refused.
# Version: kubernetes-validate 1.37.0, against the schemas of Kubernetes 1.37.
# Source: the schemas are made from Kubernetes' OpenAPI description, where a quantity is any string or
#   number and a count any integer (kubernetes_validate/kubernetes-json-schema); the rules are code of
#   the server, and a missing schema is a warning (kubernetes_validate/utils.py).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check kubernetes-validate==1.37.0
cd "$dir"

cat >sound.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: demo}
spec:
  replicas: 2
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec:
      containers:
        - name: first
          image: demo:1
          ports: [{containerPort: 8080}]
          resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {cpu: 200m, memory: 2Gi}}
        - name: second
          image: demo:1
YAML

failed=0
try() { # expected (0 or 1), what is altered, the alteration
    local code=0 said
    sed "$3" sound.yaml >altered.yaml
    if [ -n "$3" ] && cmp -s sound.yaml altered.yaml; then echo "no alteration: $2" >&2 && exit 1; fi
    said=$(venv/bin/kubernetes-validate -k 1.37 --strict altered.yaml 2>&1) || code=$?
    printf 'exit %s, %s: %s\n' "$code" "$2" "$(head -n 1 <<<"$said")"
    if [ "$code" != "$1" ]; then
        echo "this has changed: the exit code was $1 for $2" >&2
        failed=1
    fi
}
try 0 'nothing altered' ''
try 0 'a quantity of 100x' 's/cpu: 200m/cpu: 100x/'
try 0 'a request of 4Gi above a limit of 2Gi' 's/memory: 1Gi/memory: 4Gi/'
try 0 'minus two replicas' 's/replicas: 2/replicas: -2/'
try 0 'port 99999' 's/8080/99999/'
try 0 'a selector that fits no label' 's/matchLabels: {app: demo/matchLabels: {app: other/'
try 0 'two containers of one name' 's/name: second/name: first/'
try 0 'an apiVersion that does not exist' 's#apps/v1#apps/v11#'
try 1 'a property that does not exist' 's/replicas: 2/replica: 2/'
exit "$failed"
