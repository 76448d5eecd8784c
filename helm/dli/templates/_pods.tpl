{{- /* Parts of pods that all roles share. */ -}}

{{- /* Of pods of Jobs: a mesh's side-car would go on when they are done. */ -}}
{{- define "dli.outsideMesh" -}}
sidecar.istio.io/inject: "false"
{{- end }}

{{- define "dli.podSecurity" -}}
runAsNonRoot: true
runAsUser: 185
runAsGroup: 185
fsGroup: 185
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "dli.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "dli.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A Deployment of the service: (dict "root" $ "role" "api" "track" "stable" "replicas" 2);
       replicas nil: an autoscaler's. Its pods are replaced one by one and drain. */ -}}
{{- define "dli.deployment" -}}
{{- $values := .root.Values -}}
{{- $own := get $values .role -}}
{{- $name := printf "%s-%s%s" (include "dli.name" .root) .role (ternary "-canary" "" (eq .track "canary")) -}}
{{- $waits := ternary $values.drain.endpointsSeconds 0 (eq .role "api") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "dli.labels" . | nindent 4 }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  minReadySeconds: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: {{ $own.maxSurge }}}
  selector:
    matchLabels: {{- include "dli.selector" . | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/config: {{ include (print .root.Template.BasePath "/config/config.yaml") .root | sha256sum }}
        checksum/secret: {{ toJson $values.secret | sha256sum }}
        {{- with $values.prices }}
        checksum/prices: {{ sha256sum . }}
        {{- end }}
        {{- with $values.runs.clusters }}
        checksum/clusters: {{ toJson . | sha256sum }}
        {{- end }}
        {{- with $own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      labels:
        {{- include "dli.selector" . | nindent 8 }}
        {{- with $own.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "dli.name" .root }}-{{ .role }}
      automountServiceAccountToken: {{ $values.runs.asPods }}
      enableServiceLinks: false
      {{- include "dli.pullSecrets" .root | nindent 6 }}
      {{- with $own.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      # Until no request comes, for what runs, and half a minute to close everything.
      terminationGracePeriodSeconds: {{ add $waits $values.drain.graceSeconds 30 }}
      securityContext: {{- include "dli.podSecurity" . | nindent 8 }}
      containers:
        - name: dli
          image: {{ include "dli.image" (dict "root" .root "canary" (eq .track "canary")) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args: [dli, serve, --role, {{ .role }}]
          envFrom:
            - configMapRef: {name: {{ include "dli.name" .root }}}
            - secretRef: {name: {{ include "dli.secret" .root }}}
          env:
            {{- include "dli.podEnv" . | nindent 12 }}
            {{- with $values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 8420}
          {{- include "dli.probes" . | nindent 10 }}
          {{- if $waits }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ $waits }}}
          {{- end }}
          resources: {{- toYaml $own.resources | nindent 12 }}
          securityContext: {{- include "dli.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: home, mountPath: /var/lib/dli}
            - {name: tmp, mountPath: /tmp}
            {{- if $values.prices }}
            - {name: prices, mountPath: /etc/dli, readOnly: true}
            {{- end }}
            {{- include "dli.clustersMount" .root | nindent 12 }}
      volumes:
        - name: home
          emptyDir: {sizeLimit: {{ $own.scratch }}}
        - name: tmp
          emptyDir: {sizeLimit: {{ $own.scratch }}}
        {{- if $values.prices }}
        - name: prices
          configMap: {name: {{ include "dli.name" .root }}-prices}
        {{- end }}
        {{- include "dli.clustersVolume" .root | nindent 8 }}
      {{- with $own.topologyKeys }}
      topologySpreadConstraints:
        {{- range . }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels: {{- include "dli.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      {{- with $own.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}

{{- /* What differs from pod to pod: a canary's runs have its image. Cores of an engine that is a child
       are those of the pod, not of its node. */ -}}
{{- define "dli.podEnv" -}}
- {name: HOME, value: /var/lib/dli}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- if .root.Values.runs.asPods }}
- {name: DLI_KUBERNETES_IMAGE, value: {{ include "dli.image" (dict "root" .root "canary" (eq .track "canary")) | quote }}}
{{- else if not (hasKey .root.Values.settings "engine_cores") }}
- name: DLI_ENGINE_CORES
  valueFrom: {resourceFieldRef: {resource: limits.cpu}}
{{- end }}
{{- end }}

{{- /* How further clusters are reached: their names and kubeconfigs, in one folder. */ -}}
{{- define "dli.clustersMount" -}}
{{- if and .Values.runs.asPods .Values.runs.clusters -}}
- {name: clusters, mountPath: /etc/dli-clusters, readOnly: true}
{{- end }}
{{- end }}

{{- define "dli.clustersFile" -}}
clusters.toml: |
  {{- range $name, $cluster := .Values.runs.clusters }}
  [{{ $name }}]
  kubeconfig = "{{ $name }}/kubeconfig"
  namespace = {{ $cluster.namespace | quote }}
  {{- with $cluster.context }}
  context = {{ . | quote }}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "dli.clustersVolume" -}}
{{- if and .Values.runs.asPods .Values.runs.clusters -}}
- name: clusters
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ .clusters | default (printf "%s-clusters" (include "dli.name" .)) }}}
      {{- range $name, $cluster := .Values.runs.clusters }}
      - secret:
          name: {{ $cluster.secret }}
          items: [{key: {{ $cluster.key | default "kubeconfig" }}, path: {{ $name }}/kubeconfig}]
      {{- end }}
{{- end }}
{{- end }}

{{- /* A worker answers its probes on a port of its own, which is the same here. */ -}}
{{- define "dli.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 10
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- /* An autoscaler of a role: (dict "root" $ "role" "api" "track" "stable") */ -}}
{{- define "dli.autoscaler" -}}
{{- $own := (get .root.Values .role).autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "dli.name" .root }}-{{ .role }}
  labels: {{- include "dli.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "dli.name" .root }}-{{ .role }}}
  minReplicas: {{ $own.minReplicas }}
  maxReplicas: {{ $own.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ $own.cpuPercent }}}}
    {{- with $own.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "dli.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "dli.name" .root }}-{{ .role }}
  labels: {{- include "dli.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ (get .root.Values .role).maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "dli.selector" (dict "root" .root "role" .role) | nindent 6 }}
{{- end }}

{{- define "dli.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "dli.name" .root }}-{{ .role }}
  labels: {{- include "dli.labels" (dict "root" .root "role" .role) | nindent 4 }}
  {{- with (get .root.Values .role).serviceAccountAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
