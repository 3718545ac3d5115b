package engine

// The list of attacks, and where each is tested. The other files named attack_*_test.go hold the cases that no test
// of a feature has; what those files share is at the end.

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roost-ws/roost/engine/enginetest"
)

// attackRow is one attack of the list. Its number stays when others are taken out, so there are holes.
type attackRow struct {
	id, attack string
	// tests are names of tests, "package.TestName" for those of other packages, "/" and the begin of a case's name
	// where one test has cases of several rows.
	tests []string
	// open says what the row asks for and nothing does; the tests are then of what holds in its place.
	open string
}

// by is for the table: tests, one behind the other.
func by(tests ...string) []string { return tests }

// attackRows is section by section: handshake, frames, floods, application protocol, compression, tokens, the life
// of a connection, and the edge (operator's port, proxies, logs). Rows with a letter behind the number were added to
// the list after its first version.
var attackRows = []attackRow{
	{"A1", "upgrade by POST, PUT, HEAD", by("TestHostileHandshakes/A1", "TestHeadHasNoBody", "handshake.TestRequestLine/A1"), ""},
	{"A2", "HTTP/1.0, preface of HTTP/2, HTTP/0.9", by("TestHostileHandshakes/A2", "handshake.TestRequestLine/A2"), ""},
	{"A3", "no Host, two, userinfo, space, NUL", by("TestHostileHandshakes/A3", "handshake.TestHeaders/A3"), ""},
	{"A4", "a body announced by Content-Length", by("TestHostileHandshakes/A4", "handshake.TestHeaders/A4"), ""},
	{"A5", "a body announced by Transfer-Encoding", by("TestHostileHandshakes/A5", "handshake.TestHeaders/A5"), ""},
	{"A6", "line ends, NUL, folding, names that are none", by("TestHostileHandshakes/A6", "handshake.TestHeaders/A6"), ""},
	{"A7", "another version, a second request behind it", by("TestHostileHandshakes/A7", "handshake.TestCheckUpgrade/A7"), ""},
	{"A8", "a refusal with a second request behind it", by("TestHostileHandshakes/A8", "TestAnswersOnce/A8"), ""},
	{"A9", "too many headers", by("TestHostileHandshakes/A9", "handshake.TestBounds"), ""},
	{"A10", "lines beyond measure, endless ones", by("TestHostileHandshakes/A10", "TestEndlessHead", "TestEndlessTarget"), ""},
	{"A11", "slow and silent handshakes, thousands of them", by("TestSlowHandshakes", "TestManySlowHeads", "roost.TestFloods/slow heads"), ""},
	{"A14", "targets that are none, parameters twice", by("TestHostileHandshakes/A14", "handshake.TestQueryRefusals"), ""},
	{"A15", "keys that are none", by("TestHostileHandshakes/A15", "handshake.TestCheckUpgrade/A15"), ""},
	{"A17", "an origin that is not on the list", by("TestOrigins/another port"), ""},
	{"A18", "origins that look like one of the list", by("TestOrigins/good name first", "handshake.TestOriginPolicy"), ""},
	{"A19", "no origin", by("TestOrigins/none", "handshake.TestMissingOrigin"), ""},
	{"A20", "frames in the handshake's segment", by("TestSplitHandshake", "TestParkedHandshakes/frames that come early"), ""},
	{"A21", "a handshake cut at every byte", by("TestSplitHandshake", "handshake.FuzzRequest", "handshake.FuzzHeadAgainstOthers"), ""},
	{"A23", "handshakes without end from one address, one user", by("TestHandshakesPerAddress", "TestHandshakesPerSecond",
		"TestConnectionsPerAddress", "TestConnectionsPerUser", "TestLimitsBehindProxy", "TestCountedForTheClient", "TestBudgetsAreBounded"), ""},
	{"A24", "a handshake while the node drains", by("TestDrain", "TestDrainOfDifficultClients"), ""},
	{"A25", "a handshake at the cap, above the memory mark", by("TestFull", "TestFullIsStillHealthy", "TestConnectionCap", "TestDescriptorsExhausted", "TestMemoryMark"), ""},
	{"A26", "input that wants to be in the answer", by("TestHostileHandshakes/A26", "TestNothingIsReflected/A26"), ""},
	{"A27", "the token in the answer", by("TestTokens/good, alone", "handshake.TestOffer"), ""},
	{"A28", "Expect: 100-continue", by("TestUnusualHeads/A28"), ""},
	{"A29", "a PROXY header where none is wanted", by("TestUnusualHeads/A29"), ""},
	{"A30", "more subprotocols and list lines than anybody has", by("TestUnusualHeads/A30"), ""},
	{"A31", "two plain requests in one segment", by("TestAnswersOnce/A31"), ""},
	{"A32", "HTTP through the tunnel", by("TestRequestBehindTheSwitch"), ""},
	{"A33", "more rooms at open than a connection may have", by("TestUnusualHeads/A33"), ""},

	{"B1", "unmasked", by("TestFramingViolations", "TestFramingViolations/B1"), ""},
	{"B2", "reserved bits and opcodes", by("TestFramingViolations/B2", "TestEveryFirstByte"), ""},
	{"B3", "lengths that are not minimal", by("TestFramingViolations/B3"), ""},
	{"B4", "lengths beyond measure", by("TestFramingViolations/B4"), ""},
	{"B5", "one byte more than allowed, announced", by("TestFramingViolations/B5", "TestTooBigAndSent"), ""},
	{"B6", "messages that take for ever", by("TestSlowMessages", "TestAnnouncedLengths", "TestDeadlinesHold/B6", "TestDeadlineThatHasPassed"), ""},
	{"B7", "control frames too long or in fragments", by("TestFramingViolations/B7"), ""},
	{"B8", "fragments out of place", by("TestFramingViolations/B8"), ""},
	{"B9", "text that is not UTF-8", by("TestFramingViolations/B9", "TestLegalFrames/a code point across"), ""},
	{"B10", "binary where text is spoken", by("TestBinaryOnV1"), ""},
	{"B12", "data and pings behind a close", by("TestAfterClose"), ""},
	{"B13", "our close is never answered", by("TestNeverAnswersClose", "TestStalled"), ""},
	{"B14", "masks of zeros", by("TestLegalFrames/B14"), ""},
	{"B15", "close codes that may not be sent", by("TestFramingViolations", "TestCloseCodes"), ""},
	{"B16", "pongs that nobody asked for", by("TestLegalFrames/pongs", "TestUnaskedPongs"), ""},

	{"C1", "empty fragments without end", by("TestFramingViolations/C1", "TestEndlessFragments", "roost.TestFloods/tiny fragments"), ""},
	{"C3", "a flood of pings", by("TestFaultBudgets/pings", "TestPingFlood", "roost.TestFloods/pings"), ""},
	{"C5", "messages above the rate", by("TestRates", "TestRateOfUser", "TestFaultBudgets/too many messages", "ratelimit.TestAnyClock", "ratelimit.TestExactTokenBucket", "roost.TestFloods/messages"), ""},
	{"C6", "a client that never reads in a busy room", by("TestFloodLeavesOthersAlone", "TestSlowConsumerDisconnect", "TestSlowConsumerOverload", "roost.TestFloods/never reads"), ""},
	{"C7", "a client that reads a byte a second", by("TestReadsAByteASecond"), ""},
	{"C8", "joining and leaving without end", by("TestFaultBudgets/churn of rooms", "fanout.TestRouter", "roost.TestFloods/joining"), ""},
	{"C9", "all rooms on one socket", by("TestErrors/one room too many", "TestManyRooms"), ""},
	{"C10", "all sockets for one user", by("TestConnectionsPerUser"), ""},
	{"C11", "a small message to a large room, again and again", by("TestRates", "TestBurstIntoARoom", "TestSlowConsumerOverload"),
		"a room has no budget of delivered bytes: what holds are each publisher's rate, what a room may gather and what all slow members may let wait"},
	{"C13", "connections that come and go", by("TestChurn", "roost.TestFloods/come and go"), ""},
	{"C14", "queries without end", by("TestQueryFlood"), ""},
	{"C15", "just enough signs of life, and no use", by("TestMaxAge", "TestUselessConnection"), ""},
	{"C16", "asks, and never reads an answer", by("TestNeverReadsAnswers"), ""},

	{"D1", "unknown types, missing fields, wrong kinds", by("TestErrors/unknown type", "TestFaultBudgets/nonsense", "roostv1.TestDecodeRefuses"), ""},
	{"D2", "publishing without membership or right", by("TestErrors/publish without", "TestFaultBudgets/forbidden rooms"), ""},
	{"D3", "the server's own words from a client", by("TestErrors/a server's type", "TestServersWords", "roostv1.TestServersTypesAreRefused"), ""},
	{"D4", "members that only the server sets", by("TestErrors"), ""},
	{"D5", "an id twice", by("TestRepeatedIDs"), ""},
	{"D6", "counts and positions beyond measure", by("TestHostileJSON/D6"), ""},
	{"D7", "room names of every kind, at every door", by("TestRoomNames"), ""},
	{"D8", "user names of every kind", by("TestUsersAreNotMixedUp", "auth.TestUserIsKeptAsWritten"), ""},
	{"D9", "JSON that costs more than it says", by("TestHostileJSON/D9", "TestErrors/too deep"), ""},

	{"E1", "a bomb", by("TestCompressedAttacks/E1", "TestManyBombs", "deflate.TestBombs", "TestNotInflatedAboveTheRate",
		"TestPostponed", "TestTurnsAreFair", "TestTooMuchWaits", "roost.TestFloods/all but bombs"), ""},
	{"E2", "a bomb in fragments", by("TestCompressedAttacks/E2"), ""},
	{"E3", "RSV1 where it may not be", by("TestCompressedAttacks/E3"), ""},
	{"E4", "a bomb before the token is known", by("TestBombBeforeToken"), ""},
	{"E6", "secrets beside text of others' choice", by("TestAnswersAreNotCompressed"), ""},
	{"E7", "references into an earlier message", by("TestCompressedOddities/E7", "deflate.TestInflateKeepsNoState"), ""},
	{"E8", "work out of proportion to what it inflates to", by("TestCompressedOddities/E8", "deflate.TestOutOfProportion"), ""},

	{"F1", "no token, two, one in the query", by("TestTokens/F1", "TestQueryToken"), ""},
	{"F2", "alg none, no signature", by("TestTokens/F2", "auth.TestAttacks"), ""},
	{"F3", "claims that are missing, ended, or none", by("TestTokens/F3", "auth.TestAttacks/exp 1e300"), ""},
	{"F4", "a public key as the secret", by("TestTokens/F4", "auth.TestAttacks/secret is the RSA key in PEM"), ""},
	{"F5", "signatures that are almost right", by("TestTokens/F5", "auth.TestAttacks/ES256 in DER", "auth.TestHighS"), ""},
	{"F6", "kid as a path, a query, a header line", by("TestForgedHeaders/F6", "auth.FuzzHeader"), ""},
	{"F7", "keys that the token brings along", by("TestForgedHeaders/F7", "auth.TestAttacks/jku", "auth.TestAttacks/crit"), ""},
	{"F8", "tokens out of shape, and too long", by("TestTokens/F8", "auth.TestAttacks/8 KiB of dots"), ""},
	{"F11", "weak secrets in the configuration", by("auth.TestNewRefuses/default secret"), ""},
	{"F12", "claims that steer where keys come from", by("TestForgedHeaders/F7 jku", "auth.TestIssuers", "auth.TestAttacksAmongIssuers"), ""},
	{"F14", "kids that nobody knows, without end", by("auth.TestUnknownKids", "auth.TestAwaitIsBounded", "TestKeyServerIsNobodysWait"), ""},
	{"F15", "a key server that misbehaves", by("auth.TestIssuerMisbehaves", "auth.TestStaleIfError", "auth.TestPlainStaysHere", "auth.TestNoConnection", "TestKeyServerIsNobodysWait"), ""},
	{"F16", "a token that ends while it is used", by("TestTokenEnds"), ""},
	{"F17", "another token for an open connection", by("TestRefresh", "TestRefreshOfRefusedUser", "TestBadRefreshes"), ""},
	{"F18", "a user, session or token that was revoked", by("TestRefuseUser", "auth.TestRevokedTokens"), ""},
	{"F19", "one token for many sockets", by("TestConnectionsPerUser", "TestOneTokenManySockets"),
		"there is no bound by jti: the bound of a user's connections holds for all tokens together"},
	{"F20", "signatures that cost time", by("TestParkedHandshakes/more than may wait", "TestHandshakesPerAddress", "roost.TestFloods/bad RS256", "roost.TestStorm"), ""},
	{"F21", "comparing secrets byte by byte", by("admin.TestKey/a prefix", "TestTokens/F2 another signature"),
		"time is not measured here: both comparisons are of hashes, by the standard library's constant-time functions"},
	{"F22", "a wall clock that jumps", by("TestWallClockJumps", "auth.TestClockJumps"), ""},
	{"F23", "tokens in logs, figures and answers", by("TestTokensStaySecret", "auth.TestRefusalsKeepSecrets", "deploy.TestLogs"), ""},

	{"G1", "a peer that is silent", by("TestHeartbeat", "TestDeadPeerReads", "TestDeadlineThatHasPassed"), ""},
	{"G2", "a peer that only answers pings", by("TestHeartbeat", "TestMaxAge"), ""},
	{"G3", "a reset in every phase", by("TestGoneInEveryPhase", "TestDrainOfDifficultClients"), ""},
	{"G4", "all of a room gone at once", by("TestCloseStorm"), ""},
	{"G6", "a close handshake without end", by("TestNeverAnswersClose"), ""},
	{"G7", "signals, twice and early", by("roost.TestSignals", "roost.TestSecondSignalHurries", "roost.TestSignalDuringStart", "TestDrainHurry"), ""},
	{"G8", "a panic of ours", by("TestPanicEndsOneConnection", "TestPanicInALetter"), ""},

	{"H1", "an address that a client gives itself", by("TestForwarded/from a client", "TestCountedForTheClient", "handshake.TestForwardedWalk"), ""},
	{"H2", "a PROXY header of somebody else's", by("TestProxyHeaderFaults/not from the balancer", "TestUnusualHeads/A29", "TestFullBelievesNobodyMore"), ""},
	{"H3", "PROXY headers that are none", by("TestProxyHeaderFaults", "TestProxyKinds/H3", "proxyproto.TestVersion2/H3", "proxyproto.TestTLV"), ""},
	{"H5", "the operator's pages on the clients' port", by("TestOperatorsPages"), ""},
	{"H6", "the API without a key, and by force", by("admin.TestKey", "admin.TestLargeBodies", "admin.TestSlowRequests", "admin.TestRoutes", "admin.FuzzPath"), ""},
	{"H7", "the API through a browser", by("admin.TestWithoutKey/form", "admin.TestWithoutKey/rebound name"), ""},
	{"H8", "names as labels", by("TestSeriesAreConstant", "admin.TestLabelsAreClosed"), ""},
	{"H10", "a log that is flooded", by("TestLogStaysShort"), ""},
	{"H11", "health checks that tell too much", by("TestPlainRequests", "admin.TestHealth"), ""},
	{"H12", "secrets in what a tool prints", by("config.TestSecretHidesItself", "config.TestNoSecretInProblems", "config.TestURLHidesSecrets", "admin.TestPanic"), ""},
}

// sections says which numbers there are, so that none is lost.
var sections = map[byte]string{
	'A': "1-11 14 15 17-21 23-33", 'B': "1-10 12-16", 'C': "1 3 5-11 13-16", 'D': "1-9", 'E': "1-4 6-8",
	'F': "1-8 11 12 14-23", 'G': "1-4 6-8", 'H': "1-3 5-8 10-12",
}

// testsOf is where the packages are that the table names.
var testsOf = map[string]string{
	"": ".", "auth": "auth", "admin": "admin", "ratelimit": "ratelimit", "fanout": "../fanout",
	"handshake": "../protocol/handshake", "proxyproto": "../protocol/proxyproto", "deflate": "../protocol/deflate",
	"roostv1": "../protocol/roostv1", "config": "../cmd/internal/config", "deploy": "../cmd/internal/deploy", "roost": "../cmd/roost",
}

// TestEveryAttackIsTested holds the table against its numbers and against the tests that exist.
func TestEveryAttackIsTested(t *testing.T) {
	var want, have []string
	for section, numbers := range sections {
		for part := range strings.FieldsSeq(numbers) {
			first, last, isRange := strings.Cut(part, "-")
			if !isRange {
				last = first
			}
			from, _ := strconv.Atoi(first)
			to, _ := strconv.Atoi(last)
			for n := from; n <= to; n++ {
				want = append(want, string(section)+strconv.Itoa(n))
			}
		}
	}
	found, named := map[string]*testNames{}, map[string]bool{}
	for _, row := range attackRows {
		have = append(have, row.id)
		if len(row.tests) == 0 && row.open == "" {
			t.Errorf("%s, %s: no test, and no word why", row.id, row.attack)
		}
		for _, name := range row.tests {
			test, _, _ := strings.Cut(name, "/")
			named[test] = true
			if !exists(t, found, name) {
				t.Errorf("%s, %s: there is no %s", row.id, row.attack, name)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("the table has %v, want %v", have, want)
	}
	for name, file := range found[""].functions {
		if strings.HasPrefix(file, "attack_") && file != "attack_test.go" && strings.HasPrefix(name, "Test") && !named[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}

// testNames are the tests of a package, and the strings in them, among which are their cases' names.
type testNames struct {
	functions map[string]string // by name, the file that each is in
	texts     []string
}

// exists looks for a test, and where a case is named for one that begins like it.
func exists(t *testing.T, found map[string]*testNames, name string) bool {
	t.Helper()
	name, begin, _ := strings.Cut(name, "/")
	in := ""
	if at := strings.IndexByte(name, '.'); at >= 0 {
		in, name = name[:at], name[at+1:]
	}
	names := found[in]
	if names == nil {
		names = namesIn(t, testsOf[in])
		found[in] = names
	}
	return names.functions[name] != "" && slices.ContainsFunc(names.texts, func(s string) bool { return strings.HasPrefix(s, begin) })
}

func namesIn(t *testing.T, dir string) *testNames {
	t.Helper()
	if dir == "" {
		t.Fatal("the table names a package that testsOf lacks")
	}
	names := &testNames{functions: map[string]string{}, texts: []string{""}}
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tests {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names.functions[n.Name.Name] = filepath.Base(name)
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					names.texts = append(names.texts, text)
				}
			}
			return true
		})
	}
	return names
}

// canary stands in attacks for what nobody may find in a log, a figure or an answer.
const canary = "canaryCANARYcanary"

// siege is a server under attack, with somebody who has to be served whatever happens, and a log that says
// everything.
type siege struct {
	t      *testing.T
	server *Server
	addr   string
	other  *bystander
	log    enginetest.Log
}

// besiege serves with options changed by edit; o is how the bystander comes in.
func besiege(t *testing.T, edit func(*Options), o enginetest.Options) *siege {
	t.Helper()
	g := &siege{t: t}
	g.server, g.addr = serve(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if edit != nil {
			edit(o)
		}
	})
	g.other = newBystander(t, g.addr, o)
	return g
}

// counts are series and by how much they must have grown.
type counts map[string]float64

// once is counts of 1.
func once(series ...string) counts {
	c := counts{}
	for _, s := range series {
		c[s]++
	}
	return c
}

// attack does one attack, and looks whether it was counted as it should be, whether the bystander is still served,
// and whether the log kept quiet about what was sent.
func (g *siege) attack(t *testing.T, name string, grown counts, do func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		before := scrape(g.server)
		do(t)
		for _, series := range slices.Sorted(maps.Keys(grown)) {
			grew(t, g.server, before, grown[series], series)
		}
		g.other.mustBeServed()
		mustNotTell(t, "the log", g.log.String())
	})
}

// end looks at what is left once everybody is gone.
func (g *siege) end() {
	g.t.Helper()
	g.other.client.Close()
	mustBeEmpty(g.t, g.server)
	var text bytes.Buffer
	g.server.WriteMetrics(&text)
	mustNotTell(g.t, "the figures", text.String())
}

func mustNotTell(t testing.TB, where, text string) {
	t.Helper()
	if at := strings.Index(text, canary); at >= 0 {
		t.Errorf("%s has what a client sent: %.200q", where, text[max(0, at-100):])
	}
}
