package handshake

import (
	"fmt"
	"strings"
	"testing"
)

func TestOffer(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_x"
	protocols := func(values ...string) (lines string) {
		for _, value := range values {
			lines += "Sec-WebSocket-Protocol: " + value + "\r\n"
		}
		return lines
	}
	many := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("p", i)
		}
		return strings.Join(names, ", ")
	}
	for _, c := range []struct {
		name   string
		target string
		lines  string
		query  bool
		want   Refusal
		roost  bool
		from   TokenSource
		token  string
		echo   string
	}{
		{name: "F1 nothing at all", target: "/ws"},
		{name: "A27 name and token", target: "/ws", lines: protocols("roost.v1, token." + jwt), roost: true, from: FromSubprotocol, token: jwt, echo: "roost.v1"},
		{name: "A27 token first", target: "/ws", lines: protocols("token."+jwt, "roost.v1"), roost: true, from: FromSubprotocol, token: jwt, echo: "roost.v1"},
		{name: "A27 token alone is echoed", target: "/ws", lines: protocols("token." + jwt), from: FromSubprotocol, token: jwt, echo: "token." + jwt},
		{name: "A27 token beside a name we do not know", target: "/ws", lines: protocols("chat, token." + jwt), from: FromSubprotocol, token: jwt, echo: "token." + jwt},
		{name: "name alone", target: "/ws", lines: protocols("roost.v1"), roost: true, echo: "roost.v1"},
		{name: "names we do not know", target: "/ws", lines: protocols("chat", "Roost.v1,Token.x, token")},
		{name: "empty elements", target: "/ws", lines: protocols(", roost.v1 ,,"), roost: true, echo: "roost.v1"},
		{name: "tabs around elements", target: "/ws", lines: protocols("chat\t,\troost.v1"), roost: true, echo: "roost.v1"},
		{name: "bearer", target: "/ws", lines: "Authorization: Bearer " + jwt + "\r\n", from: FromAuthorization, token: jwt},
		{name: "bearer in any case, padded", target: "/ws", lines: "Authorization: bEARER   abc+/==\r\n", from: FromAuthorization, token: "abc+/=="},
		{name: "bearer beside the name", target: "/ws", lines: "Authorization: Bearer " + jwt + "\r\n" + protocols("roost.v1"), roost: true, from: FromAuthorization, token: jwt, echo: "roost.v1"},
		{name: "another scheme", target: "/ws", lines: "Authorization: Basic YTpi\r\n"},
		{name: "another scheme that begins alike", target: "/ws", lines: "Authorization: Bearerish a b\r\n"},
		{name: "F1 query token is off", target: "/ws?token=" + jwt},
		{name: "F1 query token is off, another counts", target: "/ws?token=a", lines: protocols("token." + jwt), from: FromSubprotocol, token: jwt, echo: "token." + jwt},
		{name: "F1 query token is on", target: "/ws?token=" + jwt, query: true, from: FromQuery, token: jwt},
		{name: "F1 query token is taken as it is", target: "/ws?token=a%2Eb", query: true, from: FromQuery, token: "a%2Eb"},

		{name: "F1 two in the subprotocols", target: "/ws", lines: protocols("token.a, token.b"), want: TwoTokens},
		{name: "F1 two in two lines", target: "/ws", lines: protocols("token.a", "token.b"), want: TwoTokens},
		{name: "F1 subprotocol and bearer", target: "/ws", lines: protocols("token.a") + "Authorization: Bearer a\r\n", want: TwoTokens},
		{name: "F1 subprotocol and query", target: "/ws?token=a", lines: protocols("token.a"), query: true, want: TwoTokens},
		{name: "F1 bearer and query", target: "/ws?token=a", lines: "Authorization: Bearer a\r\n", query: true, want: TwoTokens},
		{name: "F1 bearer and empty query", target: "/ws?token=", lines: "Authorization: Bearer a\r\n", query: true, want: TwoTokens},
		{name: "F1 all three", target: "/ws?token=a", lines: protocols("token.a") + "Authorization: Bearer a\r\n", query: true, want: TwoTokens},
		{name: "empty token", target: "/ws", lines: protocols("token."), want: Token},
		{name: "empty bearer", target: "/ws", lines: "Authorization: Bearer\r\n", want: Token},
		{name: "empty query token", target: "/ws?token", query: true, want: Token},
		{name: "bearer with a space", target: "/ws", lines: "Authorization: Bearer a b\r\n", want: Malformed},
		{name: "bearer with a comma", target: "/ws", lines: "Authorization: Bearer a,b\r\n", want: Malformed},
		{name: "bearer of padding", target: "/ws", lines: "Authorization: Bearer ==\r\n", want: Malformed},
		{name: "bearer behind a tab", target: "/ws", lines: "Authorization: Bearer\ta\r\n", want: Malformed},
		{name: "one name twice", target: "/ws", lines: protocols("roost.v1, roost.v1"), want: Malformed},
		{name: "one name twice in two lines", target: "/ws", lines: protocols("chat", "chat"), want: Malformed},
		{name: "16 names", target: "/ws", lines: protocols(many(16))},
		{name: "17 names", target: "/ws", lines: protocols(many(17)), want: Malformed},
		{name: "17 names in two lines", target: "/ws", lines: protocols(many(16), "roost.v1"), want: Malformed},
		{name: "no name", target: "/ws", lines: protocols(""), want: Malformed},
		{name: "only commas", target: "/ws", lines: protocols(" , ,"), want: Malformed},
		{name: "two words", target: "/ws", lines: protocols("roost.v1 chat"), want: Malformed},
		{name: "quoted", target: "/ws", lines: protocols(`"roost.v1"`), want: Malformed},
		{name: "A26 markup", target: "/ws", lines: protocols("<script>"), want: Malformed},
		{name: "A26 slash", target: "/ws", lines: protocols("token.a/b"), want: Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			lim := DefaultLimits()
			r, v := judge(t, get(c.target, c.lines), &lim)
			if v.parse != Accepted || v.n == 0 {
				t.Fatal(v)
			}
			o, refusal := r.Offer(c.query)
			if refusal != c.want {
				t.Fatalf("refusal %v, want %v", refusal, c.want)
			}
			if o.RoostV1 != c.roost || o.TokenFrom != c.from || string(o.Token) != c.token || string(o.Echo) != c.echo {
				t.Errorf("%+v", o)
			}
			if (o.Echo == nil) != (c.echo == "") || o.EchoesToken() != strings.HasPrefix(c.echo, "token.") {
				t.Errorf("echo %q, echoes a token: %v", o.Echo, o.EchoesToken())
			}
		})
	}
}
