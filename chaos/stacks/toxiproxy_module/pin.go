//go:build pin

// Package pin keeps the Toxiproxy server in go.mod, so that its version and hashes are pinned.
package pin

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
