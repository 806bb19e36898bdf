#!/usr/bin/env bash
# One would guess: `promtool test rules` evaluates rules as the server does: each group at its own
#   interval, groups in the order of the file, and a test about an alert that no rule defines fails.
# What happens: a group's own interval is ignored (all groups take the test file's
#   evaluation_interval, a minute unless it says otherwise), groups that group_eval_order does not
#   name come in another order from run to run, so what one group reads of another's records differs
#   from run to run, and an alert whose name is misspelt "does not fire": the test passes.
# Version: promtool 2.42.0 (Debian 12's package prometheus 2.42.0+ds-5+deb12u1).
# Source: testGroup.test and orderedGroups in cmd/promtool/unittest.go: one loop steps by
#   evaluation_interval over all groups of a map. The page on unit tests of rules says that the order
#   holds only for the groups that are named, and says nothing of intervals.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq prometheus=2.42.0+ds-5+deb12u1
dpkg-deb -x prometheus_*.deb unpacked
promtool=unpacked/usr/bin/promtool

changed() { echo "this has changed: $*" >&2 && exit 1; }
seen() { { "$promtool" test rules "$1" 2>&1 || true; } | sed -n 's/.*got: {[^}]*} //p'; }

cat >rules.yml <<'YAML'
groups:
  - {name: hourly, interval: 1h, rules: [{record: copied, expr: source}]}
YAML
for i in 1 2 3 4 5 6; do
    echo "  - {name: g$i, rules: [{record: r$i, expr: $([ $i = 1 ] && echo source || echo r$((i - 1)))}]}"
done >>rules.yml

# The source counts minutes. An expected value of -1 makes promtool print what it got.
tests() { # further keys of the file, expression
    printf 'rule_files: [rules.yml]\nevaluation_interval: 1m\n%s\ntests:\n' "$1"
    echo '  - interval: 1m'
    echo '    input_series: [{series: source, values: "0+1x60"}]'
    echo "    promql_expr_test: [{expr: $2, eval_time: 30m, exp_samples: [{labels: $2, value: -1}]}]"
}
tests '' copied >interval.yml
hourly=$(seen interval.yml)
echo "after 30 minutes the hourly group has copied the value of minute $hourly"
[ "$hourly" = 3E+01 ] || changed 'promtool evaluates a group at its own interval'

tests '' r6 >any-order.yml
tests 'group_eval_order: [g1, g2, g3, g4, g5, g6, hourly]' r6 >named-order.yml
any=$(for _ in $(seq 20); do seen any-order.yml; done | sort | uniq -c)
named=$(for _ in $(seq 20); do seen named-order.yml; done | sort | uniq -c)
printf 'the last of six groups that copy from each other, in 20 runs (count, value):\n%s\n' "$any"
printf 'the same with group_eval_order:\n%s\n' "$named"
[ "$(wc -l <<<"$any")" -gt 1 ] || changed 'promtool takes groups in one order'
[ "$(wc -l <<<"$named")" = 1 ] || changed 'group_eval_order no longer settles the order'

cat >misspelt.yml <<'YAML'
rule_files: [rules.yml]
tests: [{interval: 1m, alert_rule_test: [{alertname: NoRuleHasThisName, eval_time: 5m}]}]
YAML
"$promtool" test rules misspelt.yml || changed 'promtool refuses the name of an alert that no rule has'
