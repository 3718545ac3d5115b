package admin

// Profiles of the running process, when the configuration asks for them.

import (
	"net/http"
	"net/http/pprof"
)

// profiles lists what there is.
func (a *Admin) profiles(w http.ResponseWriter, r *http.Request) { pprof.Index(w, r) }

// profile answers with one profile. The command line, which pprof has to offer too, is not among them: it may hold a
// secret that was given as a flag.
func (a *Admin) profile(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("profile") {
	case "profile":
		pprof.Profile(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r) // finds the runtime's own profiles by the path's last segment
	}
}
