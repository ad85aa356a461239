//go:build tools

// Package helm pins what the test bed builds, so that go.sum covers it.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
