#!/usr/bin/env bash
# One VM with a NIC of dsbridge on a dual-stack kind cluster, from nothing to its addresses.
#
# NOT YET RUN: written against the documents of kind and KubeVirt, without a cluster at hand.
# Needs docker, kind, kubectl and jq; QEMU emulates where there is no /dev/kvm.
set -euo pipefail
cd "$(dirname "$0")/../.."
NODE=${NODE:-kindest/node:v1.36.1}
KUBEVIRT=${KUBEVIRT:-v1.9.0}
CLUSTER=dsbridge-e2e
IMAGE=localhost/dsbridge:e2e
release=https://github.com/kubevirt/kubevirt/releases/download/$KUBEVIRT
work=$(mktemp -d)
finish() {
  status=$?
  [ $status = 0 ] || {
    kubectl get vmi,pods -A -o wide || true
    kubectl logs -n vms -l kubevirt.io=virt-launcher -c hook-sidecar-0 --tail=-1 || true
  }
  kind delete cluster --name $CLUSTER
  rm -r "$work"
}
trap finish EXIT

kind create cluster --name $CLUSTER --image "$NODE" --wait 5m --config - <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {ipFamily: dual}
YAML
docker build --quiet --tag $IMAGE .
kind load docker-image --name $CLUSTER $IMAGE

kubectl apply -f "$release/kubevirt-operator.yaml" -f "$release/kubevirt-cr.yaml"
kubectl patch -n kubevirt kubevirts kubevirt --type merge \
  -p '{"spec":{"imagePullPolicy":"IfNotPresent","configuration":{"developerConfiguration":{"useEmulation":true}}}}'

cp -r deploy "$work/deploy"
find "$work/deploy" -name '*.yaml' -exec sed -i "s|REGISTRY/dsbridge:0.1.0|$IMAGE|" {} +
kubectl apply -k "$work/deploy"
kubectl patch -n kubevirt kubevirts kubevirt --type merge --patch-file "$work/deploy/registration.yaml"
kubectl wait -n kubevirt kubevirts kubevirt --for condition=Available --timeout 10m

kubectl apply -f deploy/examples/namespace.yaml -f deploy/examples/vm-pod-network.yaml
kubectl wait -n vms vmi vm1 --for=condition=Ready --timeout 10m
pod=$(kubectl get pods -n vms -l kubevirt.io=virt-launcher -o jsonpath='{.items[0].metadata.name}')

kubectl get pod -n vms "$pod" -o json | jq -e '
  .spec.containers[] | select(.name == "hook-sidecar-0").securityContext
  | .capabilities.add == ["NET_ADMIN", "NET_RAW"] and .seccompProfile.type == "RuntimeDefault"'

# The guest's own word: it has asked for both families, and taken what it was given.
for _ in $(seq 60); do
  status=$(kubectl exec -n vms "$pod" -c hook-sidecar-0 -- dsbridge status --json)
  if jq -e '.guard == "on" and (.guests[0].counters | .ACK > 0 and .REPLY > 0 and .RA > 0)' <<<"$status"; then
    break
  fi
  sleep 10
done
jq -e '.guests[0].counters | .ACK > 0 and .REPLY > 0 and .RA > 0' <<<"$status"
diff <(kubectl get pod -n vms "$pod" -o json | jq -S '[.status.podIPs[].ip]') \
  <(jq -S '[.guests[0] | (.ipv4 + .ipv6)[] | split("/")[0]]' <<<"$status")
kubectl get vmi -n vms vm1 -o json | jq -e '.status.interfaces[0].ipAddresses | length == 2'
echo "the guest has what its pod has"
