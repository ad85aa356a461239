{{/* The operator's account, which its rights and the admission policies name. */}}
{{- define "agent-identity.account" -}}
agent-identity-operator
{{- end }}

{{/* The account's user name, as the API server knows it. */}}
{{- define "agent-identity.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "agent-identity.account" . }}
{{- end }}

{{/* Who applied it, and what for: on everything but the CRDs. */}}
{{- define "agent-identity.labels" -}}
app.kubernetes.io/name: agent-identity
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What the pods are found by: never changes, since a Deployment's selector can't. */}}
{{- define "agent-identity.selector" -}}
app.kubernetes.io/name: agent-identity
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The image, by digest where there is one. */}}
{{- define "agent-identity.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}
