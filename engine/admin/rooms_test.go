package admin

// What is known of one room: who is in it, and what was published.

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/fanout"
)

func TestPresence(t *testing.T) {
	p := open(t, setup{node: withTokens(t)})
	for i := range 7 {
		p.openClient("/ws?room=hall", as(t, fmt.Sprintf("user %d", i)))
	}
	p.openClient("/ws?room=hall", as(t, "user 3"))
	type page struct {
		Room  string        `json:"room"`
		Total int           `json:"total"`
		Users []presentUser `json:"users"`
		Next  string        `json:"next"`
	}
	var names []string
	after := ""
	for pages := 1; ; pages++ {
		var got page
		path := "/api/rooms/hall/presence?limit=3"
		if after != "" {
			path += "&after=" + url.QueryEscape(after)
		}
		p.get(path, &got)
		if got.Room != "hall" || got.Total != 7 || len(got.Users) > 3 || pages > 3 {
			t.Fatalf("page %d: %+v", pages, got)
		}
		for _, u := range got.Users {
			if want := map[bool]int{true: 2, false: 1}[u.User == "user 3"]; u.Connections != want {
				t.Errorf("%+v, want %d connections", u, want)
			}
			names = append(names, u.User)
		}
		if after = got.Next; after == "" {
			break
		}
	}
	if fmt.Sprint(names) != "[user 0 user 1 user 2 user 3 user 4 user 5 user 6]" {
		t.Errorf("users %v", names)
	}
	p.expect(200, `{"room":"empty","total":0,"users":[]}`, "GET", "/api/rooms/empty/presence", "")
	p.expect(200, `{"room":"hall","total":7,"users":[{"user":"user 6","connections":1}]}`, "GET", "/api/rooms/hall/presence?after=user+55", "")
	for _, query := range []string{"limit=0", "limit=1001", "x=1", "after=a&after=b"} {
		p.refused(400, "bad_request", "GET", "/api/rooms/hall/presence?"+query, "")
	}
}

func TestHistory(t *testing.T) {
	p := open(t, setup{node: func(o *engine.Options) {
		o.Broker = fanout.NewMemoryHistory(func(room string) fanout.Retention {
			if room == "plain" {
				return fanout.Retention{}
			}
			return fanout.Retention{Size: 4, TTL: time.Hour}
		}, 1<<20)
		o.History = 4
	}})
	type published struct {
		Offset uint64 `json:"offset"`
		Epoch  string `json:"epoch"`
	}
	type page struct {
		Type     string `json:"type"`
		Room     string `json:"room"`
		Epoch    string `json:"epoch"`
		Offset   uint64 `json:"offset"`
		Messages []struct {
			Type   string `json:"type"`
			Room   string `json:"room"`
			Data   uint64 `json:"data"`
			Offset uint64 `json:"offset"`
			Time   int64  `json:"time"`
		} `json:"messages"`
	}
	var last published
	for i := range 6 {
		got := p.ask("POST", "/api/publish", fmt.Sprintf(`{"room":"kept","data":%d}`, i+1))
		if f := decode([]byte(got.body), &last); f != nil || last.Offset != uint64(i+1) || last.Epoch == "" {
			t.Fatalf("published %s", got.body)
		}
	}
	for query, want := range map[string]string{
		"":        "3 6",
		"limit=2": "5 6",
		fmt.Sprintf("epoch=%s&offset=4", last.Epoch):         "5 6",
		fmt.Sprintf("epoch=%s&offset=2&limit=1", last.Epoch): "3 3",
		fmt.Sprintf("epoch=%s&offset=6", last.Epoch):         "",
	} {
		var got page
		p.get("/api/rooms/kept/history?"+query, &got)
		have := ""
		if n := len(got.Messages); n > 0 {
			have = fmt.Sprint(got.Messages[0].Offset, " ", got.Messages[n-1].Data)
		}
		if have != want || got.Epoch != last.Epoch || got.Offset != 6 || got.Room != "kept" || got.Type != "history" {
			t.Errorf("%s: %s in %+v, want %s", query, have, got, want)
		}
	}
	p.refused(409, "unrecoverable", "GET", fmt.Sprintf("/api/rooms/kept/history?epoch=%s&offset=1", last.Epoch), "")
	p.refused(409, "unrecoverable", "GET", "/api/rooms/kept/history?epoch=x&offset=1", "")
	p.refused(503, "unavailable", "GET", "/api/rooms/plain/history", "")
	for _, query := range []string{"epoch=x", "offset=1", "epoch=x&offset=-1", "limit=0", "since=1", "epoch=x&offset=18446744073709551616"} {
		p.refused(400, "bad_request", "GET", "/api/rooms/kept/history?"+query, "")
	}
}
