package engine

// Order and delivery as a property: members come and go at random while others publish, and each must hear exactly
// what was published while it was a member, in each publisher's order.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// published is one publication's life: when its publisher began to send it and when it read the answer.
type published struct {
	sent, answered time.Time
	echo           bool
}

// orderPublisher is a member that publishes one after the other in its only room. It hears all others, too.
type orderPublisher struct {
	room, user string
	client     *enginetest.Client
	sent       []published
	heard      map[string][]int // by publisher
	welcomed   time.Time
	left       time.Time
}

// stay is one membership: the times around it and what was heard meanwhile.
type stay struct {
	room                                   string
	joinSent, joined, leaveSent, leftHeard time.Time
	heard                                  map[string][]int
}

// orderEvent is what this test reads of any message.
type orderEvent struct {
	Type, Room string
	Code       string
	ID         int
	Data       struct {
		By string
		N  int
	}
}

func receiveEvent(c *enginetest.Client) (orderEvent, error) {
	var e orderEvent
	_, text, err := c.Receive()
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}

func sendText(c *enginetest.Client, text string) error {
	if err := c.NetConn().SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.NetConn().Write(enginetest.TextFrame([]byte(text)))
	return err
}

// TestOrderAndDelivery runs publishers and roamers against two loops and then judges each stay.
func TestOrderAndDelivery(t *testing.T) {
	publications, roamers := 1500, 12
	if testing.Short() {
		publications = 400
	}
	s, addr := serve(t, func(o *Options) { o.Limits.Controls = ratelimit.Rate{} })
	rooms := []string{"order.a", "order.b"}
	var publishers []*orderPublisher
	for i := range 6 {
		p := &orderPublisher{room: rooms[i%2], user: fmt.Sprintf("p%d", i), heard: map[string][]int{}}
		p.client = dialV1(t, addr, "/ws?room="+p.room, v1)
		p.welcomed = time.Now()
		publishers = append(publishers, p)
	}
	// Members that never leave make the rooms large enough to be walked in slices.
	for i := range 20 {
		crowd := dialV1(t, addr, "/ws?room="+rooms[i%2], v1)
		go func() {
			for {
				if _, _, err := crowd.Receive(); err != nil {
					return
				}
			}
		}()
	}
	quit := make(chan struct{})
	stays := make([][]stay, roamers)
	failures := make(chan error, roamers+len(publishers))
	var publishing, roaming sync.WaitGroup
	for i := range roamers {
		c := dialV1(t, addr, "/ws", v1)
		roaming.Go(func() {
			var err error
			if stays[i], err = roam(c, rooms, quit); err != nil {
				failures <- fmt.Errorf("roamer %d: %w", i, err)
			}
		})
	}
	for _, p := range publishers {
		publishing.Go(func() {
			if err := p.run(publications); err != nil {
				failures <- fmt.Errorf("publisher %s: %w", p.user, err)
			}
		})
	}
	publishing.Wait()
	close(quit)
	gone := make(chan struct{})
	go func() { roaming.Wait(); close(gone) }()
	keepTalking(s, rooms, gone)
	close(failures)
	for err := range failures {
		t.Fatal(err)
	}
	judge(t, publishers, stays)
}

// keepTalking publishes in all rooms until gone closes, so that nobody waits for one more message in vain.
func keepTalking(s *Server, rooms []string, gone chan struct{}) {
	beat := time.NewTicker(5 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-gone:
			return
		case <-beat.C:
			for _, room := range rooms {
				s.Publish(room, []byte(`{"By":"the backend","N":0}`), fanout.JSON, nil)
			}
		}
	}
}

// run publishes n times, each after the answer to the one before or, now and then, several at once.
func (p *orderPublisher) run(n int) error {
	random := rand.New(rand.NewPCG(uint64(len(p.user)), uint64(p.user[1])))
	for len(p.sent) < n {
		burst := 1
		if random.IntN(8) == 0 {
			burst = 1 + random.IntN(20)
		}
		first := len(p.sent)
		for range burst {
			echo := random.IntN(3) > 0
			p.sent = append(p.sent, published{sent: time.Now(), echo: echo})
			text := fmt.Sprintf(`{"type":"publish","room":%q,"id":%d,"echo":%v,"data":{"By":%q,"N":%d}}`, p.room, len(p.sent), echo, p.user, len(p.sent)-1)
			if err := sendText(p.client, text); err != nil {
				return err
			}
		}
		for answered := first; answered < len(p.sent); {
			e, err := receiveEvent(p.client)
			switch {
			case err != nil:
				return err
			case e.Type == "published":
				if e.ID != answered+1 {
					return fmt.Errorf("answer %d, want %d", e.ID, answered+1)
				}
				p.sent[answered].answered = time.Now()
				answered++
			case e.Type == "message":
				p.heard[e.Data.By] = append(p.heard[e.Data.By], e.Data.N)
			default:
				return fmt.Errorf("heard %+v", e)
			}
		}
	}
	return p.leave()
}

// leave reads what is still to come, up to the answer to a leave.
func (p *orderPublisher) leave() error {
	p.left = time.Now()
	if err := sendText(p.client, `{"type":"leave","room":"`+p.room+`","id":0}`); err != nil {
		return err
	}
	for {
		e, err := receiveEvent(p.client)
		switch {
		case err != nil:
			return err
		case e.Type == "left":
			return nil
		case e.Type == "message":
			p.heard[e.Data.By] = append(p.heard[e.Data.By], e.Data.N)
		}
	}
}

// roam joins and leaves at random until quit closes.
func roam(c *enginetest.Client, rooms []string, quit chan struct{}) ([]stay, error) {
	var done []stay
	here := map[string]*stay{}
	for n := 1; ; n++ {
		select {
		case <-quit:
			if len(here) == 0 {
				return done, nil
			}
		default:
		}
		room := rooms[rand.IntN(len(rooms))]
		verb := "join"
		if here[room] == nil {
			here[room] = &stay{room: room, joinSent: time.Now(), heard: map[string][]int{}}
		} else {
			verb = "leave"
			here[room].leaveSent = time.Now()
		}
		if err := sendText(c, fmt.Sprintf(`{"type":%q,"room":%q,"id":%d}`, verb, room, n)); err != nil {
			return nil, err
		}
		// Hear some messages more than the answer at random, so that stays differ in length.
		for answered, more := false, rand.IntN(60); !answered || more > 0 && len(here) > 0; {
			e, err := receiveEvent(c)
			if err != nil {
				return nil, err
			}
			switch e.Type {
			case "joined":
				here[e.Room].joined, answered = time.Now(), true
			case "left":
				s := here[e.Room]
				s.leftHeard, answered = time.Now(), true
				done = append(done, *s)
				delete(here, e.Room)
			case "message":
				s := here[e.Room]
				if s == nil || s.joined.IsZero() {
					return nil, fmt.Errorf("heard %+v outside of a membership", e)
				}
				s.heard[e.Data.By] = append(s.heard[e.Data.By], e.Data.N)
				more--
			default:
				return nil, fmt.Errorf("heard %+v", e)
			}
			select {
			case <-quit:
				more = 0
			default:
			}
		}
	}
}

// judge compares what each stay heard with what it had to hear and what it must not.
func judge(t *testing.T, publishers []*orderPublisher, stays [][]stay) {
	t.Helper()
	count, heard := 0, 0
	for i, all := range stays {
		for k, s := range all {
			count++
			for _, p := range publishers {
				heard += len(s.heard[p.user])
				if err := p.check(&s); err != nil {
					t.Errorf("roamer %d, stay %d of %d: %v", i, k, len(all), err)
				}
			}
		}
	}
	for _, p := range publishers {
		for _, o := range publishers {
			s := stay{room: p.room, joined: p.welcomed, joinSent: p.welcomed, leaveSent: p.left, leftHeard: time.Now(), heard: p.heard}
			if err := o.checkFor(&s, o == p); err != nil {
				t.Errorf("publisher %s: %v", p.user, err)
			}
		}
	}
	if count < 50 || heard < 5000 {
		t.Errorf("%d stays heard %d messages: too few to prove anything", count, heard)
	}
	t.Logf("%d stays heard %d messages", count, heard)
}

func (p *orderPublisher) check(s *stay) error { return p.checkFor(s, false) }

// checkFor judges what a stay heard of p; own says that it was p's own.
func (p *orderPublisher) checkFor(s *stay, own bool) error {
	got := s.heard[p.user]
	if p.room != s.room {
		if len(got) > 0 {
			return fmt.Errorf("heard %s, which is in another room", p.user)
		}
		return nil
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			return fmt.Errorf("heard %s's %d after %d", p.user, got[i], got[i-1])
		}
	}
	at := 0
	for n, x := range p.sent {
		for at < len(got) && got[at] < n {
			at++
		}
		was := at < len(got) && got[at] == n
		switch {
		case own && !x.echo:
			if was {
				return fmt.Errorf("heard its own %d without echo", n)
			}
		case was && x.answered.Before(s.joinSent):
			return fmt.Errorf("heard %s's %d, answered %v before the join was sent", p.user, n, s.joinSent.Sub(x.answered))
		case was && x.sent.After(s.leftHeard):
			return fmt.Errorf("heard %s's %d, sent after the leave was answered", p.user, n)
		case !was && x.sent.After(s.joined) && x.answered.Before(s.leaveSent):
			return fmt.Errorf("missed %s's %d, sent %v after the join and answered %v before the leave was sent",
				p.user, n, x.sent.Sub(s.joined), s.leaveSent.Sub(x.answered))
		}
	}
	return nil
}
