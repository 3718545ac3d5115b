package admin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestDepth(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `1`: 0, `{}`: 1, `[]`: 1, `[[],[]]`: 2, `{"[[[":"]\"[["}`: 1, `[{"a":[]}]`: 3, `"\\"[`: 1, `]]][`: 0,
		strings.Repeat("[", 100): 100,
	} {
		if got := depth([]byte(text)); got != want {
			t.Errorf("%.40s: %d, want %d", text, got, want)
		}
	}
}

// FuzzDecode looks for a body that panics, for data that is not what the body has, byte for byte, and for a refusal
// that is long or not fit to be sent.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{`{"room":"a","data":{"x": 1.0}}`, `{"room":"a","data":"\ud800"}`, ` {"data":[ ]} `, `{"x":1}`, `{"room":1}`,
		`{"room":"a"}}`, `{"data":01}`, "{\"data\":\"\xff\"}", `{"data":{"a":1,"a":2}}`, `{"` + strings.Repeat("é", 80) + `":1}`, `null`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var order struct {
			Room string         `json:"room"`
			Data jsontext.Value `json:"data"`
		}
		before := bytes.Clone(body)
		failed := decode(body, &order)
		switch {
		case !bytes.Equal(before, body):
			t.Fatal("the body was changed")
		case failed != nil:
			if failed.status != 400 || len(failed.message) > 400 {
				t.Errorf("refused with %d %q", failed.status, failed.message)
			}
			return
		case order.Data == nil:
			return
		case !bytes.Contains(body, order.Data):
			t.Errorf("data %q is not in %q", order.Data, body)
		case !order.Data.IsValid(jsontext.AllowInvalidUTF8(true)):
			t.Errorf("data %q is no JSON", order.Data)
		}
	})
}
