{{/* The replica's container, for the Deployment and for KServe's ServingRuntime: a dict of root, port, models and claim. */}}
{{- define "chainzrule.container" -}}
{{- with .root -}}
image: {{ include "chainzrule.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: CHAINZRULE_MODELS
    value: {{ $.models }}
  - name: CHAINZRULE_DEVICE
    value: {{ ternary "cuda" "cpu" .Values.gpu.enabled }}
  - name: CHAINZRULE_DRAIN_GRACE
    value: {{ include "chainzrule.plain" .Values.drainGrace | quote }}
  - name: CHAINZRULE_SHUTDOWN_TIMEOUT
    value: {{ include "chainzrule.plain" .Values.shutdownTimeout | quote }}
  {{- if .Values.tokenSecret }}
  - name: CHAINZRULE_TOKEN_FILE
    value: /run/chainzrule/token
  {{- end }}
  {{- if .Values.signatureKeys }}
  - name: CHAINZRULE_REQUIRE_SIGNATURE
    value: /etc/chainzrule/keys
  {{- end }}
  {{- if .Values.policies }}
  - name: CHAINZRULE_POLICIES
    value: /etc/chainzrule/policies/policies.toml
  {{- end }}
  {{- range $name, $value := .Values.settings }}
  - name: CHAINZRULE_{{ upper $name }}
    value: {{ include "chainzrule.plain" $value | quote }}
  {{- end }}
ports:
  - name: {{ $.port }}
    containerPort: 8000
    protocol: TCP
# Until the process answers, which it does before any model is loaded, neither of the other two is asked.
startupProbe:
  httpGet: {path: /healthz, port: 8000}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
# 503 while models load at the start, or one that was ready is no more. One late answer under load must not send the load of this replica to the others;
# a pod that ends leaves the Service without being asked.
readinessProbe:
  httpGet: {path: /readyz, port: 8000}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 3
livenessProbe:
  httpGet: {path: /healthz, port: 8000}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
resources:
  requests:
    {{- toYaml .Values.resources.requests | nindent 4 }}
    {{- if .Values.gpu.enabled }}
    nvidia.com/gpu: {{ .Values.gpu.count }}
    {{- end }}
  limits:
    {{- toYaml .Values.resources.limits | nindent 4 }}
    {{- if .Values.gpu.enabled }}
    nvidia.com/gpu: {{ .Values.gpu.count }}
    {{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- if or $.claim .Values.tokenSecret .Values.signatureKeys .Values.policies }}
volumeMounts:
  {{- if $.claim }}
  - {name: models, mountPath: {{ $.models }}, readOnly: true}
  {{- end }}
  {{- if .Values.tokenSecret }}
  - {name: token, mountPath: /run/chainzrule, readOnly: true}
  {{- end }}
  {{- if .Values.signatureKeys }}
  - {name: keys, mountPath: /etc/chainzrule/keys, readOnly: true}
  {{- end }}
  {{- if .Values.policies }}
  - {name: policies, mountPath: /etc/chainzrule/policies, readOnly: true}
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The volumes of the pod around it, from the same dict. */}}
{{- define "chainzrule.volumes" -}}
{{- if or .claim .root.Values.tokenSecret .root.Values.signatureKeys .root.Values.policies -}}
volumes:
  {{- with .claim }}
  - name: models
    persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
  {{- end }}
  {{- with .root.Values.tokenSecret }}
  - name: token
    secret:
      secretName: {{ . }}
      items:
        - {key: token, path: token}
  {{- end }}
  {{- with .root.Values.signatureKeys }}
  - name: keys
    configMap: {name: {{ . }}}
  {{- end }}
  {{- with .root.Values.policies }}
  - name: policies
    configMap: {name: {{ . }}}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* A setting as the service reads it. Helm takes every number of a values file for a float, and would print 1.6777216e+07. */}}
{{- define "chainzrule.plain" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* SIGTERM makes it unready at once; it serves on for drainGrace, then finishes what is in flight. */}}
{{- define "chainzrule.termination" -}}
terminationGracePeriodSeconds: {{ add (ceil .Values.drainGrace) .Values.shutdownTimeout 5 }}
{{- end -}}
