package deflate

import (
	"strings"
	"testing"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws/wsflate"
)

const plainAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

func TestNegotiate(t *testing.T) {
	const pmd = "permessage-deflate"
	window := plainAnswer + "; server_max_window_bits=15"
	for _, c := range []struct {
		name, offers string
		verdict      Verdict
		answer       string
	}{
		{"nothing offered", "-", Declined, ""},
		{"bare", pmd, Accepted, plainAnswer},
		{"as browsers do", pmd + "; client_max_window_bits", Accepted, plainAnswer},
		{"all that helps", pmd + "; server_no_context_takeover; client_no_context_takeover", Accepted, plainAnswer},
		{"the client's window, each size", strings.Join([]string{pmd + "; client_max_window_bits=8; x", pmd + "; client_max_window_bits=15"}, ","), Accepted, plainAnswer},
		{"the client's smallest window", pmd + "; client_max_window_bits=8", Accepted, plainAnswer},
		{"quoted value", pmd + `; client_max_window_bits="10"`, Accepted, plainAnswer},
		{"quoted pair", pmd + `; client_max_window_bits="1\0"`, Accepted, plainAnswer},
		{"our window", pmd + "; server_max_window_bits=15", Accepted, window},
		{"our window, quoted", pmd + `; server_max_window_bits="15"`, Accepted, window},
		{"our window smaller", pmd + "; server_max_window_bits=14", Declined, ""},
		{"our smallest window", pmd + "; server_max_window_bits=8", Declined, ""},
		{"our window smaller, then without", pmd + "; server_max_window_bits=9, " + pmd, Accepted, plainAnswer},
		{"the first that is good", pmd + ", " + pmd + "; server_max_window_bits=15", Accepted, plainAnswer},
		{"the first that is good, the other way round", pmd + "; server_max_window_bits=15, " + pmd, Accepted, window},
		{"others before and behind", "x-a; b=c, " + pmd + ", y; z=\"q\"", Accepted, plainAnswer},
		{"others alone", "x-webkit-deflate-frame, bbf-usp-protocol", Declined, ""},
		{"spaces and tabs", "\t " + pmd + " \t;\tclient_max_window_bits =  10 ,", Accepted, plainAnswer},
		{"empty elements", ", ," + pmd + ",,", Accepted, plainAnswer},

		{"unknown parameter", pmd + "; x", Declined, ""},
		{"unknown parameter with a value", pmd + "; level=9", Declined, ""},
		{"unknown parameter in the first offer", pmd + "; x, " + pmd, Accepted, plainAnswer},
		{"parameter in another case", pmd + "; Client_Max_Window_Bits", Declined, ""},
		{"extension in another case", "Permessage-Deflate", Declined, ""},
		{"server_no_context_takeover twice", pmd + "; server_no_context_takeover; server_no_context_takeover", Declined, ""},
		{"client_no_context_takeover twice", pmd + "; client_no_context_takeover; client_no_context_takeover", Declined, ""},
		{"server_max_window_bits twice", pmd + "; server_max_window_bits=15; server_max_window_bits=15", Declined, ""},
		{"client_max_window_bits twice", pmd + "; client_max_window_bits; client_max_window_bits", Declined, ""},
		{"client_max_window_bits twice, once with a value", pmd + "; client_max_window_bits; client_max_window_bits=10", Declined, ""},
		{"server_no_context_takeover with a value", pmd + "; server_no_context_takeover=1", Declined, ""},
		{"client_no_context_takeover with a value", pmd + "; client_no_context_takeover=true", Declined, ""},
		{"server_max_window_bits without a value", pmd + "; server_max_window_bits", Declined, ""},
		{"server_max_window_bits too small", pmd + "; server_max_window_bits=7", Declined, ""},
		{"server_max_window_bits too large", pmd + "; server_max_window_bits=16", Declined, ""},
		{"server_max_window_bits with a leading zero", pmd + "; server_max_window_bits=015", Declined, ""},
		{"client_max_window_bits too small", pmd + "; client_max_window_bits=7", Declined, ""},
		{"client_max_window_bits too large", pmd + "; client_max_window_bits=16", Declined, ""},
		{"client_max_window_bits with a leading zero", pmd + "; client_max_window_bits=08", Declined, ""},
		{"client_max_window_bits too long", pmd + "; client_max_window_bits=1000", Declined, ""},
		{"client_max_window_bits with a sign", pmd + "; client_max_window_bits=+9", Declined, ""},
		{"client_max_window_bits of letters", pmd + "; client_max_window_bits=ab", Declined, ""},

		{"empty header", "", Malformed, ""},
		{"spaces", " \t", Malformed, ""},
		{"commas", ",,", Malformed, ""},
		{"two words", pmd + " x", Malformed, ""},
		{"parameter without a name", pmd + ";", Malformed, ""},
		{"parameter without a name, then another", pmd + ";;x", Malformed, ""},
		{"value without a name", pmd + "; =10", Malformed, ""},
		{"no value behind =", pmd + "; client_max_window_bits=", Malformed, ""},
		{"no value behind = but a comma", pmd + "; client_max_window_bits=, " + pmd, Malformed, ""},
		{"two values", pmd + "; client_max_window_bits=10=11", Malformed, ""},
		{"two words in a value", pmd + "; client_max_window_bits=10 11", Malformed, ""},
		{"value on the extension", pmd + "=1", Malformed, ""},
		{"empty quotes", pmd + `; client_max_window_bits=""`, Malformed, ""},
		{"open quotes", pmd + `; client_max_window_bits="10`, Malformed, ""},
		{"open quotes in a quoted pair", pmd + `; client_max_window_bits="10\"`, Malformed, ""},
		{"open quotes behind a backslash", pmd + `; client_max_window_bits="10\`, Malformed, ""},
		{"no token in the quotes", pmd + `; client_max_window_bits="1 0"`, Malformed, ""},
		{"quotes in the quotes", pmd + `; client_max_window_bits="1\"0"`, Malformed, ""},
		{"quoted extension", `"` + pmd + `"`, Malformed, ""},
		{"comment", pmd + " (x)", Malformed, ""},
		{"not ASCII", pmd + "; \xc3\xa9", Malformed, ""},
		{"malformed behind a good offer", pmd + ", x;", Malformed, ""},
		{"malformed in another extension", "x=y, " + pmd, Malformed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			offers := []byte(c.offers)
			if c.offers == "-" {
				offers = nil
			}
			got, verdict := Negotiate([]byte("prefix"), offers)
			if verdict != c.verdict || string(got) != "prefix"+c.answer {
				t.Errorf("%q: %q, verdict %d; want %q, %d", c.offers, got, verdict, c.answer, c.verdict)
			}
			checkNegotiation(t, offers)
		})
	}
}

// checkNegotiation holds Negotiate against gobwas/httphead and wsflate, which are laxer: what is accepted here they
// must be able to read and must take for an offer that this answer fits.
func checkNegotiation(t *testing.T, offers []byte) {
	answer, verdict := Negotiate(nil, offers)
	if verdict == Malformed || offers == nil {
		return
	}
	spaces := []byte(strings.ReplaceAll(string(offers), "\t", " ")) // httphead takes a tab for a fault
	options, ok := httphead.ParseOptions(spaces, nil)
	if !ok {
		t.Fatalf("httphead can't read %q", offers)
	}
	if verdict == Declined {
		if len(answer) != 0 {
			t.Fatalf("declined with %q", answer)
		}
		return
	}
	answers, ok := httphead.ParseOptions(answer, nil)
	if !ok || len(answers) != 1 {
		t.Fatalf("answer %q", answer)
	}
	var agreed wsflate.Parameters
	if err := agreed.Parse(answers[0]); err != nil || !agreed.ClientNoContextTakeover || !agreed.ServerNoContextTakeover || agreed.ClientMaxWindowBits != 0 {
		t.Fatalf("answer %q: %+v, %v", answer, agreed, err)
	}
	for _, o := range options {
		var offered wsflate.Parameters
		if string(o.Name) != extension || offered.Parse(o) != nil {
			continue
		}
		if offered.ServerMaxWindowBits == agreed.ServerMaxWindowBits {
			return
		}
	}
	// wsflate can't read a number with a backslash in it.
	if !strings.Contains(string(offers), `\`) {
		t.Fatalf("no offer of %q fits %q", offers, answer)
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"permessage-deflate", "permessage-deflate; client_max_window_bits", `x; y="z\"", permessage-deflate; server_max_window_bits=15`,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate;client_no_context_takeover", ", ,", "a;b=\"\\", plainAnswer} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, offers []byte) {
		checkNegotiation(t, offers)
		_, verdict := Negotiate(nil, offers)
		// What is declined may be said twice, and space at the ends means nothing.
		if verdict == Declined && offers != nil {
			if _, again := Negotiate(nil, []byte(" "+string(offers)+" ,\t"+string(offers))); again != Declined {
				t.Fatalf("%q is declined once and %d twice", offers, again)
			}
		}
		// An offer behind all others is taken if, and only if, none of them was and the grammar holds.
		_, behind := Negotiate(nil, []byte(string(offers)+", permessage-deflate"))
		if empty := strings.Trim(string(offers), ", \t") == ""; behind != Accepted && (verdict != Malformed || empty) || behind == Accepted && verdict == Malformed && !empty {
			t.Fatalf("%q: verdict %d, with an offer behind %d", offers, verdict, behind)
		}
	})
}
