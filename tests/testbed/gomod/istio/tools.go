//go:build tools

// Package istio pins what the test bed builds, so that go.sum covers it.
package istio

import (
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
