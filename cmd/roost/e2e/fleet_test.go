package e2e

// Nodes that share a bus, what is asked of them as an operator would ask, and members that talk.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// busy are limits that members of a hundred rooms do not meet.
var busy = slices.Concat(roomy, []string{"rate.controls=100000", "rate.control_burst=100000"})

// manyProcesses skips what starts many programs under -short.
func manyProcesses(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts programs from outside: not with -short")
	}
}

// soaks reports whether the long forms were asked for.
func soaks() bool { return os.Getenv("ROOST_SOAK") != "" }

// fleet is nodes on one bus, by name.
type fleet struct {
	bus      *redistest.Server // nil if that is more than one
	settings []string
	nodes    []*server
	names    []string
}

// startFleet starts nodes of those names on bus.
func startFleet(t *testing.T, bus *redistest.Server, names []string, settings ...string) *fleet {
	t.Helper()
	f := startFleetAt(t, "redis://"+bus.Addr, names, settings...)
	f.bus = bus
	return f
}

// startFleetAt starts nodes of those names on the bus at url.
func startFleetAt(t *testing.T, url string, names []string, settings ...string) *fleet {
	t.Helper()
	f := &fleet{settings: slices.Concat(prompt, busy, settings, []string{"broker.url=" + url}), names: names}
	for _, name := range names {
		f.nodes = append(f.nodes, start(t, append(f.settings, "node="+name)...))
	}
	return f
}

// call asks a node's operator's port and reads the answer into an object, unless that is nil.
func (s *server) call(method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		text = nil
	}
	request, err := http.NewRequest(method, "http://"+s.admin+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: tunnelWithin}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, path, response.Status, text)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return err
}

// figure is the value of one metric of a node.
func (s *server) figure(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("no metric %s in\n%s", name, text)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// present is who is in a room, as a node's operator's port tells.
func (s *server) present(room string) ([]string, error) {
	var answer struct {
		Users []presentUser `json:"users"`
	}
	if err := s.call("GET", "/api/rooms/"+room+"/presence?limit=1000", nil, &answer); err != nil {
		return nil, err
	}
	users := []string{}
	for _, u := range answer.Users {
		users = append(users, u.User)
	}
	slices.Sort(users)
	return users, nil
}

// await waits until a condition holds, and says how long that took.
func await(t *testing.T, within time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !condition() {
		if time.Since(begin) > within {
			t.Fatalf("waited %v in vain until %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin)
}

// enterAll lets members come in and waits until all are in all their rooms.
func enterAll(t *testing.T, members []*member) {
	t.Helper()
	for i, m := range members {
		m.enter()
		if i%100 == 99 { // so that dials do not time out in a queue of their own making
			awaitHere(t, members[i-99:i+1])
		}
	}
	awaitHere(t, members)
}

func awaitHere(t *testing.T, members []*member) time.Duration {
	t.Helper()
	return await(t, memberWithin, "all members are in their rooms", func() bool {
		return !slices.ContainsFunc(members, func(m *member) bool { return !m.here() })
	})
}

// memberWithin bounds every wait for members.
const memberWithin = time.Minute

// conversation is members that talk until it is stopped.
type conversation struct {
	stop    chan struct{}
	talking sync.WaitGroup
}

// talk has every member say something in one of its rooms perSecond times a second, in turn, each at its own moments.
func talk(members []*member, perSecond float64) *conversation {
	c := &conversation{stop: make(chan struct{})}
	pause := time.Duration(float64(time.Second) / perSecond)
	for _, m := range members {
		c.talking.Go(func() {
			var rooms []string
			for room := range m.records() {
				rooms = append(rooms, room)
			}
			for i := rand.IntN(len(rooms)); ; i++ {
				select {
				case <-c.stop:
					return
				case <-time.After(pause/2 + rand.N(pause)):
					m.publish(rooms[i%len(rooms)])
				}
			}
		})
	}
	return c
}

// end ends it and waits until every saying has an outcome.
func (c *conversation) end(t *testing.T, members []*member) {
	t.Helper()
	close(c.stop)
	c.talking.Wait()
	await(t, memberWithin, "everything said was answered", func() bool {
		return !slices.ContainsFunc(members, func(m *member) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.asks) > 0
		})
	})
}

// unmoved fails the test if a member's connection ended, or it was told of a hole.
func unmoved(t *testing.T, members []*member) {
	t.Helper()
	disturbed := 0
	for _, m := range members {
		if ends, holes := m.lost(); len(ends) > 0 || holes > 0 {
			if disturbed++; disturbed <= 5 {
				t.Errorf("%s on %s lost its connection (%v) and was told of %d holes", m.user, m.on(), ends, holes)
			}
		}
	}
	if disturbed > 5 {
		t.Errorf("and %d more", disturbed-5)
	}
}
