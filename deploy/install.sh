#!/usr/bin/env bash
# Installs the operator, or brings it up to date, and waits until it serves. OPERATOR_IMAGE names its image. An image
# that was built anew under the same tag changes no object; OPERATOR_REVISION, which its builder gives, does.
set -euo pipefail
cd "$(dirname "$0")"
image=${OPERATOR_IMAGE:-localhost/antdb-operator:dev}
revision=${OPERATOR_REVISION:-none}

apply() { kubectl apply --server-side --force-conflicts "$@" | sed 's/^/  /'; }

echo "installing the operator ($image)"
apply -f crds -f policy.yaml
sed "s#localhost/antdb-operator:dev#$image#; s#antdb.io/revision: none#antdb.io/revision: \"$revision\"#" operator.yaml | apply -f -
apply -f rbac
kubectl wait --for=condition=Established crd/antdbclusters.antdb.io crd/antdboperations.antdb.io --timeout=60s >/dev/null
kubectl -n antdb-system rollout status deployment/antdb-operator --timeout=120s | sed 's/^/  /'
