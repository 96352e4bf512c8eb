#!/usr/bin/env bash
# The demo: creates the cluster of samples/demo.yaml, watches it become Ready, and walks through it statement by
# statement with psql, as a database administrator would. It ends with an error at the first answer that is not right.
set -euo pipefail
cd "$(dirname "$0")"
image=${ENGINE_IMAGE:-localhost/antdb:standin}
ns=demo name=demo
begin=$(date +%s%N)

say() { printf '\n%6.1fs  \e[1m%s\e[0m\n' "$(($(date +%s%N) - begin))e-9" "$*"; }
fail() { echo "FAILED: $*" >&2; kubectl -n $ns get antdbcluster,pods -o wide >&2 || true; exit 1; }
if [[ ! -t 1 ]]; then say() { printf '\n%6.1fs  %s\n' "$(($(date +%s%N) - begin))e-9" "$*"; }; fi

address() { kubectl -n $ns get service "$name-$1" -o jsonpath='{.spec.clusterIP}'; }
# sql NODE STATEMENT: shows the statement and its answer; ask NODE STATEMENT: only the answer, bare.
ask() { psql -h "${at[$1]}" -U postgres -XAtc "$2"; }
sql() { echo "$1=# $2"; psql -h "${at[$1]}" -U postgres -Xc "$2"; }
# until NODE STATEMENT ANSWER: waits for the answer; a node that restarts gives its own in a few seconds.
until_answer() {
  local deadline=$((SECONDS + 60)) got=
  while got=$(PGCONNECT_TIMEOUT=3 PGOPTIONS='-c statement_timeout=10s' ask "$1" "$2" 2>&1) || true; [[ $got != "$3" ]]; do
    ((SECONDS < deadline)) || fail "on $1, after 60 s, «$2» still answers: $got"
    sleep 0.2
  done
}

say "creating cluster $name (1 gtm_coord, 2 coordinators, 3 datanodes) in namespace $ns, image $image"
kubectl create namespace $ns --dry-run=client -o yaml | kubectl apply -f - >/dev/null
kubectl label --overwrite namespace $ns pod-security.kubernetes.io/enforce=restricted >/dev/null
sed "s#localhost/antdb:dev#$image#" samples/demo.yaml | kubectl -n $ns apply -f -
columns='PHASE:.status.phase,SERVING:.status.readyNodes,WHAT:.status.conditions[?(@.type=="Ready")].message'
kubectl -n $ns get antdbcluster $name --watch --no-headers -o "custom-columns=$columns" 2>/dev/null |
  while IFS= read -r line; do
    [[ $line != "${last-}" ]] || continue
    last=$line
    printf '%6.1fs  %s\n' "$(($(date +%s%N) - begin))e-9" "${line:0:110}"
  done &
watcher=$!
trap 'kill $watcher $(jobs -p) 2>/dev/null || true; pkill -P $$ 2>/dev/null || true' EXIT
kubectl -n $ns wait --for=condition=Ready antdbcluster/$name --timeout=300s >/dev/null || fail "the cluster is not Ready after 300 s"
pkill -P $$ 2>/dev/null || true
wait 2>/dev/null || true

nodes=(gc cn1 cn2 dn1 dn2 dn3)
declare -A at
for n in "${nodes[@]}"; do at[$n]=$(address "$n"); done
PGPASSWORD=$(kubectl -n $ns get secret $name-superuser -o jsonpath='{.data.password}' | base64 -d)
export PGPASSWORD

say "every pod is READY, every node has a Service with a ClusterIP"
kubectl -n $ns get pods -o wide --sort-by=.metadata.name | cut -c1-110
kubectl -n $ns get services -l antdb.io/node --no-headers | awk '$3 != "None" {print "  " $1, $3}'

say "gc and every coordinator hold the same six rows"
catalog='select node_name, node_type, node_port, node_host, nodeis_primary, nodeis_gtm, node_id from pgxc_node order by node_name'
rows=$(ask gc "$catalog")
sql gc "$catalog"
[[ $(wc -l <<<"$rows") == 6 ]] || fail "gc has not six rows"
[[ $(ask gc "select node_id from pgxc_node where node_name = 'gc'") == 196570402 ]] || fail "node_id of gc is not 196570402"
for n in cn1 cn2; do [[ $(ask $n "$catalog") == "$rows" ]] || fail "$n holds other rows than gc"; echo "  $n: the same"; done

say "a table of 10000 rows, made on gc"
ask gc 'drop table if exists test01' >/dev/null
sql gc 'create table test01 (id int, name text)'
sql gc 'insert into test01 select id, md5(id::text) from generate_series(1,10000) id'
count='select count(*) from test01'
spread='select b.node_name, count(*) from test01 a, pgxc_node b where a.xc_node_id = b.node_id group by b.node_name order by 1'
shares=$(ask gc "$spread")
sql gc "$spread"
[[ $(wc -l <<<"$shares") == 3 ]] || fail "the rows are not on three datanodes"
for n in gc cn1 cn2; do
  [[ $(ask $n "$count") == 10000 && $(ask $n "$spread") == "$shares" ]] || fail "$n does not give the same answers"
  echo "  $n: 10000 rows, the same shares"
done

for n in gc cn1 dn1; do
  say "deleting the pod of $n: it comes back under the same ClusterIP, nothing is adjusted by hand"
  old=$(kubectl -n $ns get pod $name-$n-1 -o jsonpath='{.metadata.uid}')
  from=$(date +%s%N)
  kubectl -n $ns delete pod $name-$n-1 --wait=false >/dev/null
  kubectl -n $ns wait --for=delete "pod/$name-$n-1" --timeout=60s >/dev/null 2>&1 || true
  for c in gc cn1 cn2; do until_answer $c "$count" 10000; done
  printf '  every coordinator answers %.1f s after the delete\n' "$(($(date +%s%N) - from))e-9"
  kubectl -n $ns wait --for=condition=Ready pod/$name-$n-1 antdbcluster/$name --timeout=120s >/dev/null || fail "$n is not Ready after 120 s"
  [[ $(kubectl -n $ns get pod $name-$n-1 -o jsonpath='{.metadata.uid}') != "$old" ]] || fail "the pod of $n was not replaced"
  [[ $(address $n) == "${at[$n]}" ]] || fail "the ClusterIP of $n changed"
  for c in gc cn1 cn2; do
    [[ $(ask $c "$catalog") == "$rows" && $(ask $c "$spread") == "$shares" ]] || fail "$c gives other answers than before"
  done
  echo "  same ClusterIP ${at[$n]}, same pgxc_node, same rows on gc, cn1 and cn2"
done

say "the walk-through passed"
cat <<END

To connect (from this machine; pods use the names of the Services):
  export KUBECONFIG=${KUBECONFIG:-$HOME/.kube/config}
  export PGPASSWORD=\$(kubectl -n $ns get secret $name-app -o jsonpath='{.data.password}' | base64 -d)
  psql -h $(kubectl -n $ns get service $name -o jsonpath='{.spec.clusterIP}') -U app app          # the application, through any coordinator
  kubectl -n $ns get antdbcluster,pods,services
  kubectl -n $ns get events --field-selector involvedObject.kind=AntDBCluster
To remove everything: make demo-down
END
