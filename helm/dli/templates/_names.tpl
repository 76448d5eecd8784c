{{- /* Names, labels and images: everything that more than one file has to agree on. */ -}}

{{- /* A label that begins with a letter, as names of Services are; a release's may have dots. */ -}}
{{- define "dli.name" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if not (contains "dli" $name) }}{{ $name = printf "%s-dli" $name }}{{ end -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "dli-%s" $name }}{{ end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "dli.secret" -}}
{{- .Values.secret.existing | default (include "dli.name" .) -}}
{{- end }}

{{- define "dli.runsNamespace" -}}
{{- .Values.runs.namespace | default .Release.Namespace -}}
{{- end }}

{{- /* The image, of the canary where `canary` is set: (dict "root" $ "canary" true) */ -}}
{{- define "dli.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := ternary .root.Values.canary.image (dict) (default false .canary) -}}
{{- $digest := $own.digest | default (ternary "" $image.digest (not (empty $own.tag))) -}}
{{- $tag := $own.tag | default $image.tag | default .root.Chart.AppVersion -}}
{{- $image.repository }}{{ if $digest }}@{{ $digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end }}

{{- /* What tells the pods of a role: (dict "root" $ "role" "api" "track" "stable") */ -}}
{{- define "dli.selector" -}}
app.kubernetes.io/name: dli
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .track }}
dli.dev/track: {{ . }}
{{- end }}
{{- end }}

{{- define "dli.labels" -}}
{{ include "dli.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- /* The pods that the service launches: its own label, not Helm's. */ -}}
{{- define "dli.runs" -}}
dli.dev/installation: {{ include "dli.name" . }}
{{- end }}
