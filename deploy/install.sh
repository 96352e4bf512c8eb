#!/usr/bin/env bash
# Installs the operator, or brings it up to date, and waits until it serves. OPERATOR_IMAGE names its image.
set -euo pipefail
cd "$(dirname "$0")"
image=${OPERATOR_IMAGE:-localhost/antdb-operator:dev}

apply() { kubectl apply --server-side --force-conflicts "$@" | sed 's/^/  /'; }

echo "installing the operator ($image)"
apply -f crds -f policy.yaml
sed "s#localhost/antdb-operator:dev#$image#" operator.yaml | apply -f -
apply -f rbac
kubectl wait --for=condition=Established crd/antdbclusters.antdb.io --timeout=60s >/dev/null
# An image that was built anew under the same tag changes no object; its digest, told by the builder, does.
if [[ -n ${OPERATOR_REVISION:-} ]]; then
  kubectl -n antdb-system patch deployment antdb-operator --type merge \
    -p "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"antdb.io/revision\":\"$OPERATOR_REVISION\"}}}}}" | sed 's/^/  /'
fi
kubectl -n antdb-system rollout status deployment/antdb-operator --timeout=120s | sed 's/^/  /'
