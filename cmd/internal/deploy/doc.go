// Package deploy makes the files that stand around a node from the node's own configuration, so that what has to fit
// together is written once: timeouts, caps, ports and the PROXY header; and what watches it, which no setting changes.
//
// It owns the templates (templates/), the files that are printed as they are (assets/), and the rules about what may go
// into them. Whatever comes from the outside is
// checked against a narrow grammar before it meets a template: addresses, host names and paths are refused rather
// than quoted when they hold anything that one of the programs could read as syntax.
//
// All functions may be called from any goroutine, keep nothing, and read nothing but their arguments: they open no
// file, look up no name, ask no machine for its limits, and never see a secret (of a configuration they read
// addresses, limits, times and the paths of key files alone).
package deploy
