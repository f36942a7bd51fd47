#!/usr/bin/env bash
# A VM of each shape on a dual-stack kind cluster, from nothing to its deletion.
# Needs docker, kind, kubectl and jq; QEMU emulates, so that the node needs no /dev/kvm.
#
# NOT YET RUN: no machine with docker was at hand. What it expects was seen by hand in a real
# cluster (Kubernetes 1.36.2, KubeVirt's main of November 2026), and nothing else is in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
NODE=${NODE:-kindest/node:v1.36.1}
KUBEVIRT=${KUBEVIRT:-v1.9.0}
SHAPES=${SHAPES:-managed own takeover plugin}
CLUSTER=dsbridge-e2e
IMAGE=localhost/dsbridge:e2e
GUEST=quay.io/containerdisks/fedora:43
PING=docker.io/library/busybox:1.37
release=https://github.com/kubevirt/kubevirt/releases/download/$KUBEVIRT
work=$(mktemp -d)
patch_kubevirt() { kubectl patch -n kubevirt kubevirts kubevirt --type merge "$@"; }
finish() {
  status=$?
  [ $status = 0 ] || {
    kubectl get vmi,pods -A -o wide || true
    kubectl get events -n vms --sort-by=.lastTimestamp || true
    for container in hook-sidecar-0 dsbridge compute; do
      kubectl logs -n vms -l kubevirt.io=virt-launcher -c $container --tail=100 2>/dev/null || true
    done
  }
  kind delete cluster --name $CLUSTER
  rm -r "$work"
  exit $status
}
trap finish EXIT

kind create cluster --name $CLUSTER --image "$NODE" --wait 5m --config - <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {ipFamily: dual}
YAML
docker build --quiet --tag $IMAGE .
kind load docker-image --name $CLUSTER $IMAGE

# One after the other: kubectl looks for the kind KubeVirt before it applies anything.
kubectl apply -f "$release/kubevirt-operator.yaml"
kubectl wait --for=condition=Established --timeout 2m crd/kubevirts.kubevirt.io
kubectl apply -f "$release/kubevirt-cr.yaml"
patch_kubevirt -p '{"spec":{"imagePullPolicy":"IfNotPresent","configuration":{"developerConfiguration":
  {"useEmulation":true,"featureGates":["Sidecar","Plugins"]}}}}'
kubectl wait -n kubevirt kubevirts kubevirt --for condition=Available --timeout 15m

# The image is named in one place, as an administrator would.
cp -r deploy "$work/deploy"
sed -i "s|newName: .*|newName: ${IMAGE%:*}|; s|newTag: .*|newTag: ${IMAGE#*:}|" "$work/deploy/image/kustomization.yaml"
kubectl apply -k "$work/deploy"
kubectl apply -k "$work/deploy/policy-by-image"
for name in registration registration-own; do
  kubectl get configmap -n kubevirt dsbridge-registration -o jsonpath="{.data.$name\.yaml}" >"$work/$name.yaml"
  patch_kubevirt --patch-file "$work/$name.yaml"
done
kubectl apply -f deploy/examples/namespace.yaml

vm() { # vm SHAPE: its VirtualMachine, as JSON
  jq -n --arg shape "$1" --arg guest $GUEST --arg image $IMAGE '
    ({managed: {name: "dsbridge"}, own: {name: "dsbridge-own"}, plugin: {name: "dsbridge"}}[$shape]) as $binding
    | {apiVersion: "kubevirt.io/v1", kind: "VirtualMachine", metadata: {name: $shape, namespace: "vms"},
       spec: {runStrategy: "Always", template: {
         metadata: {
           labels: (if $shape == "plugin" then {"dsbridge.io/plugin": ""} else {} end),
           annotations: (if $shape == "takeover"
             then {"hooks.kubevirt.io/hookSidecars": ([{image: $image}] | tojson)} else {} end)},
         spec: {
           domain: {memory: {guest: "1Gi"}, devices: {
             disks: [{name: "root", disk: {bus: "virtio"}}, {name: "cloudinit", disk: {bus: "virtio"}}],
             interfaces: [{name: "default"} + (if $binding then {binding: $binding} else {bridge: {}} end)]}},
           networks: [{name: "default", pod: {}}],
           volumes: [
             {name: "root", containerDisk: {image: $guest}},
             {name: "cloudinit", cloudInitNoCloud: {
               userData: "#cloud-config\nuser: fedora\npassword: fedora\nchpasswd: {expire: false}\n",
               networkData: "version: 2\nethernets:\n  enp1s0: {dhcp4: true, dhcp6: true}\n"}}]}}}}'
}

of_vm() { kubectl get "$2" -n vms -l "vm.kubevirt.io/name=$1" -o "${3:-json}"; }

check() { # check SHAPE
  local shape=$1 container=hook-sidecar-0 pod status peer
  [ "$shape" != plugin ] || {
    patch_kubevirt --patch-file deploy/structured-plugin/registration.yaml
    patch_kubevirt -p '{"spec":{"configuration":{"developerConfiguration":{"featureGates":["Sidecar","Plugins"]}}}}'
    kubectl apply -k "$work/deploy/structured-plugin"
    container=dsbridge
  }
  vm "$shape" | kubectl apply -f -
  kubectl wait -n vms "vmi/$shape" --for=create --timeout 2m
  kubectl wait -n vms "vmi/$shape" --for=condition=Ready --timeout 15m
  pod=$(of_vm "$shape" pods name) pod=${pod#pod/}
  kubectl get pod -n vms "$pod" -o json | jq -e --arg name $container '
    (.spec.containers + .spec.initContainers)[] | select(.name == $name).securityContext
    | .capabilities.add == ["NET_ADMIN", "NET_RAW"] and .seccompProfile.type == "RuntimeDefault"'

  # The guest's own word: it has asked for both families, and taken what it was given.
  for _ in $(seq 90); do
    status=$(kubectl exec -n vms "$pod" -c $container -- dsbridge status --json)
    jq -e '.guests[0].counters | .ACK > 0 and .REPLY > 0 and .RA > 0' <<<"$status" >/dev/null && break
    sleep 10
  done
  jq -e '.guard == "on" and (.guests[0].counters | .ACK > 0 and .REPLY > 0 and .RA > 0)' <<<"$status"
  diff <(kubectl get pod -n vms "$pod" -o json | jq -S '[.status.podIPs[].ip]') \
    <(jq -S '[.guests[0] | (.ipv4 + .ipv6)[] | split("/")[0]]' <<<"$status")
  # Takeover is core bridge for KubeVirt, which shows its IPv4 address only, unless a guest agent
  # tells more. An agent's list also has the link-local address.
  kubectl get vmi -n vms "$shape" -o json | jq -e --arg shape "$shape" --argjson guest "$(jq '.guests[0]' <<<"$status")" '
    ($guest.ipv4 + (if $shape == "takeover" then [] else $guest.ipv6 end) | map(split("/")[0]))
    - (.status.interfaces[0].ipAddresses | map(split("/")[0])) == []'
  # 2: the guest is harmed; 1: a warning, which is shown.
  kubectl exec -n vms "$pod" -c $container -- dsbridge diagnose || [ $? = 1 ]
  # From a pod, as kind's node has no ping.
  for peer in $(kubectl get pod -n vms "$pod" -o jsonpath='{.status.podIPs[*].ip}'); do
    kubectl run ping --image $PING --restart Never --attach --rm --quiet -- ping -c 3 -W 5 "$peer"
  done

  kubectl delete vm -n vms "$shape" --timeout 5m
  kubectl wait -n vms "pod/$pod" --for=delete --timeout 2m
  echo "$shape: the guest had what its pod had, and left nothing"
}

for shape in $SHAPES; do
  check "$shape"
done

patch_kubevirt -p '{"spec":{"configuration":{"network":{"binding":{"dsbridge":null,"dsbridge-own":null}}}}}'
for directory in . policy-by-image structured-plugin; do
  kubectl delete --ignore-not-found -k "$work/deploy/$directory"
done
[ -z "$(kubectl get mutatingadmissionpolicies,mutatingadmissionpolicybindings,configmaps -A \
  -l app.kubernetes.io/name=dsbridge -o name)" ]
