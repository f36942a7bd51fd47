{{- /* The image with its tag or digest. */ -}}
{{- define "dsbridge.image" -}}
{{- if eq .Values.image.repository "REGISTRY/dsbridge" -}}
{{- fail "image.repository: write where you have pushed the image, such as registry.example.org/dsbridge" -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* The objects of a file, which is kustomize's output (make chart), with the values in them. */ -}}
{{- define "dsbridge.objects" -}}
{{- $top := index . 0 -}}
{{- $namespace := $top.Values.kubevirt.namespace -}}
{{- $text := $top.Files.Get (printf "files/%s.yaml" (index . 1)) -}}
{{- $text = $text | replace (printf "REGISTRY/dsbridge:%s" $top.Chart.AppVersion) (include "dsbridge.image" $top) -}}
{{- $text = $text | replace "system:serviceaccount:kubevirt:" (printf "system:serviceaccount:%s:" $namespace) -}}
{{- $text = $text | replace "namespace: kubevirt\n" (printf "namespace: %s\n" $namespace) -}}
{{- range $part := splitList "\n---\n" $text }}
{{- $object := fromYaml $part }}
{{- $labels := $object.metadata.labels }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $top.Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $top.Chart.Name $top.Chart.Version) }}
{{- if hasPrefix "MutatingAdmission" $object.kind }}
{{- $_ := set $object "apiVersion" $top.Values.policy.apiVersion }}
{{- end }}
{{- if eq $object.kind "MutatingAdmissionPolicy" }}
{{- range $variable := $object.spec.variables }}
{{- if eq $variable.name "capabilities" }}
{{- $_ := set $variable "expression" (toJson $top.Values.policy.capabilities) }}
{{- else if eq $variable.name "seccompProfile" }}
{{- $_ := set $variable "expression" (toJson $top.Values.policy.seccompProfile) }}
{{- else if and (eq $variable.name "defaults") $top.Values.defaults }}
{{- $_ := set $variable "expression" ($top.Values.defaults | toJson | toJson) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq $object.kind "ClusterPolicy" }}
{{- $container := index (index (index $object.spec.rules 0).mutate.foreach 0).patchStrategicMerge.spec.containers 0 }}
{{- $_ := set $container.securityContext.capabilities "add" $top.Values.policy.capabilities }}
{{- $_ := set $container.securityContext "+(seccompProfile)" $top.Values.policy.seccompProfile }}
{{- if $top.Values.defaults }}
{{- $_ := set $container "env" (list (dict "name" "DSBRIDGE_DEFAULTS" "value" (toJson $top.Values.defaults))) }}
{{- end }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end -}}
