package admin

// What comes in: bodies and queries, read strictly. A member, a parameter or a byte that means nothing to us is
// refused, because a backend that misspells one would otherwise never learn of it.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/roost-ws/roost/protocol"
)

const (
	// maxDepth is how deep a body may be nested: as deep as a message of roost.v1, so that what a backend
	// publishes is nothing that a client could not.
	maxDepth = 64
	// maxQuotedBytes bounds what an error repeats of a request's member names.
	maxQuotedBytes = 64
)

// isJSON reports whether a request's Content-Type is application/json in UTF-8.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	kind, parameters, err := mime.ParseMediaType(contentType[0])
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// readJSON reads a request's body into a struct. Blocks until the body is here, at most the server's ReadTimeout.
func readJSON(r *http.Request, into any) *failure {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &failure{status: http.StatusRequestEntityTooLarge, code: "too_large",
			message: fmt.Sprintf("a body has at most %d bytes", tooLarge.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: http.StatusRequestTimeout, code: "timeout", message: "the body took too long"}
	case err != nil:
		return badRequest("the body ended early")
	}
	return decode(body, into)
}

// decode reads one JSON object into a struct, under the same rules as messages of roost.v1: valid UTF-8, no name
// twice, not nested too deep, while a lone surrogate written as an escape may pass. Beyond these, every member must
// be known.
func decode(body []byte, into any) *failure {
	switch {
	case !utf8.Valid(body):
		return badRequest("the body is not UTF-8")
	case depth(body) > maxDepth:
		return badRequest(fmt.Sprintf("the body is nested more than %d levels deep", maxDepth))
	case !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'{'}):
		return badRequest("the body is not a JSON object")
	}
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true), jsontext.AllowInvalidUTF8(true))
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return badRequest("a member name occurs twice in one object")
	case errors.As(err, &syntactic):
		return badRequest(fmt.Sprintf("the body is not one JSON object: see byte %d", syntactic.ByteOffset))
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return badRequest("unknown member " + quoted(string(semantic.JSONPointer)))
	case errors.As(err, &semantic):
		return badRequest("wrong kind of value in " + quoted(string(semantic.JSONPointer)))
	}
	return badRequest("the body is not what this path takes")
}

// depth is how deep objects and arrays in text are nested. It exists because the tokeniser recurses, and would do
// so 10000 levels deep. For text that is no JSON the answer means nothing.
func depth(text []byte) int {
	now, most, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case inString && b == '\\':
			i++ // the escaped byte can't end the string
		case b == '"':
			inString = !inString
		case inString:
		case b == '[' || b == '{':
			now++
			most = max(most, now)
		case b == ']' || b == '}':
			now--
		}
	}
	return most
}

// quoted is a name out of a request as an error may repeat it.
func quoted(name string) string {
	if len(name) > maxQuotedBytes {
		name = strings.ToValidUTF8(name[:maxQuotedBytes], "") + "..."
	}
	return strconv.Quote(strings.TrimPrefix(name, "/"))
}

// readQuery reads a query that knows these parameters only.
func readQuery(r *http.Request, known ...string) (url.Values, *failure) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is malformed")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, badRequest("unknown parameter " + quoted(name))
		case len(values) > 1:
			return nil, badRequest("parameter " + quoted(name) + " is given twice")
		}
	}
	return query, nil
}

// Bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// pageQuery is which part of a list is asked for: limit entries, behind the one called after if there is one.
type pageQuery struct {
	after  string
	behind bool
	limit  int
}

// readPage reads the query of a list.
func readPage(r *http.Request) (pageQuery, *failure) {
	query, f := readQuery(r, "after", "limit")
	if f != nil {
		return pageQuery{}, f
	}
	limit, f := pageLimit(query)
	return pageQuery{query.Get("after"), query.Has("after"), limit}, f
}

// pageLimit is a query's limit.
func pageLimit(query url.Values) (int, *failure) {
	if !query.Has("limit") {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(query.Get("limit"))
	if err != nil || n < 1 || n > maxPage {
		return 0, badRequest(fmt.Sprintf("limit is a whole number from 1 to %d", maxPage))
	}
	return n, nil
}

// checkRoom refuses a name that no room can have.
func (a *Admin) checkRoom(name string) *failure {
	most := a.node.Limits().RoomBytes
	if protocol.CheckRoom([]byte(name), most) {
		return nil
	}
	return &failure{status: http.StatusBadRequest, code: protocol.BadRoom.String(),
		message: fmt.Sprintf("a room's name is 1 to %d letters, digits and . _ ~ : -", most)}
}

// checkData refuses what no client could publish either: members have to hold it while they are slow.
func (a *Admin) checkData(data jsontext.Value) *failure {
	most := a.node.Limits().MessageBytes
	switch {
	case data == nil:
		return badRequest("data is missing")
	case len(data) > most:
		return &failure{status: http.StatusRequestEntityTooLarge, code: protocol.TooLarge.String(),
			message: fmt.Sprintf("data has at most %d bytes (limits.message_bytes)", most)}
	}
	return nil
}
