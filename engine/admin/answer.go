package admin

// What goes back: JSON values, and errors in the one form that contract section 5 gives them.

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// retrySoon is what a client should wait after a refusal that was about this moment only.
const retrySoon = time.Second

// failure is an answer that is an error. code and message are fixed words of ours, or say where in the request
// something is wrong; they never carry what another part of the program had to say.
type failure struct {
	status        int
	code, message string
	retryAfter    time.Duration // 0 = not said
}

// errorBody is the JSON of a failure.
type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func badRequest(message string) *failure {
	return &failure{status: http.StatusBadRequest, code: "bad_request", message: message}
}

func forbidden(message string) *failure {
	return &failure{status: http.StatusForbidden, code: "forbidden", message: message}
}

func unavailable(message string, retryAfter time.Duration) *failure {
	return &failure{status: http.StatusServiceUnavailable, code: "unavailable", message: message, retryAfter: retryAfter}
}

func (f *failure) body() errorBody { return errorBody{Code: f.code, Message: f.message} }

// fail answers with an error.
func (a *Admin) fail(w http.ResponseWriter, f *failure) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	a.write(w, f.status, struct {
		Error errorBody `json:"error"`
	}{f.body()})
}

// write answers with a JSON value. Names that were made of other bytes than UTF-8 are mended, as JSON wants it.
func (a *Admin) write(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		a.log.Error("an answer can't be written as JSON", "error", err)
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"internal error"}}`)
	}
	send(w, status, "application/json", append(b, '\n'))
}

// send answers with bytes that are complete. Its error would only say that the client has gone.
func send(w http.ResponseWriter, status int, contentType string, b []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
