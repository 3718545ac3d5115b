package admin

// Publishing for backends. A publication takes the same road as a client's: to the broker and back.

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/roost-ws/roost/fanout"
)

// maxBroadcast is how many rooms one broadcast may name.
const maxBroadcast = 1000

// position is a publication's place in its room's stream; zero in a room without history.
type position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

// outcome is what the broker said of the publication with that index.
type outcome struct {
	index int
	pos   fanout.Position
	err   error
}

// completion carries one outcome to whoever asked. The channel has room for all outcomes of a request, so nothing
// waits here even if nobody listens any more.
type completion struct {
	index    int
	outcomes chan<- outcome
}

// Published implements [fanout.Completion].
func (c completion) Published(pos fanout.Position, err error) {
	c.outcomes <- outcome{c.index, pos, err}
}

func (a *Admin) publish(r *http.Request) (any, *failure) {
	var order struct {
		Room string         `json:"room"`
		Data jsontext.Value `json:"data"`
	}
	if f := readJSON(r, &order); f != nil {
		return nil, f
	}
	if f := a.checkRoom(order.Room); f != nil {
		return nil, f
	}
	if f := a.checkData(order.Data); f != nil {
		return nil, f
	}
	results := a.publishAll(r.Context(), []string{order.Room}, order.Data)
	if f := results[0].failed; f != nil {
		return nil, f
	}
	return results[0].position, nil
}

func (a *Admin) broadcast(r *http.Request) (any, *failure) {
	var order struct {
		Rooms []string       `json:"rooms"`
		Data  jsontext.Value `json:"data"`
	}
	if f := readJSON(r, &order); f != nil {
		return nil, f
	}
	if f := a.checkRooms(order.Rooms); f != nil {
		return nil, f
	}
	if f := a.checkData(order.Data); f != nil {
		return nil, f
	}
	type roomResult struct {
		Room string `json:"room"`
		*position
		Error *errorBody `json:"error,omitzero"`
	}
	answer := struct {
		Failed  int          `json:"failed"`
		Results []roomResult `json:"results"`
	}{Results: make([]roomResult, len(order.Rooms))}
	results := a.publishAll(r.Context(), order.Rooms, order.Data)
	for i := range results {
		one := roomResult{Room: order.Rooms[i], position: &results[i].position}
		if f := results[i].failed; f != nil {
			answer.Failed++
			body := f.body()
			one.position, one.Error = nil, &body
		}
		answer.Results[i] = one
	}
	if answer.Failed == len(results) {
		return nil, results[0].failed
	}
	return answer, nil
}

// checkRooms refuses a broadcast as a whole before anything of it is published.
func (a *Admin) checkRooms(rooms []string) *failure {
	if len(rooms) == 0 || len(rooms) > maxBroadcast {
		return badRequest(fmt.Sprintf("rooms has 1 to %d names", maxBroadcast))
	}
	seen := make(map[string]struct{}, len(rooms))
	for i, room := range rooms {
		if f := a.checkRoom(room); f != nil {
			f.message = fmt.Sprintf("rooms[%d]: %s", i, f.message)
			return f
		}
		if _, twice := seen[room]; twice {
			return badRequest(fmt.Sprintf("rooms[%d] is given twice", i))
		}
		seen[room] = struct{}{}
	}
	return nil
}

// result is what became of one room's publication.
type result struct {
	position
	failed *failure
}

// publishAll publishes data in each room and waits until the broker has answered for all, or the request's time is over.
func (a *Admin) publishAll(ctx context.Context, rooms []string, data []byte) []result {
	ctx, cancel := context.WithTimeout(ctx, a.answer)
	defer cancel()
	outcomes := make(chan outcome, len(rooms))
	results := make([]result, len(rooms))
	for i, room := range rooms {
		results[i].failed = &noAnswer
		a.node.Publish(room, data, fanout.JSON, completion{i, outcomes})
	}
	var refused error
	for range rooms {
		select {
		case o := <-outcomes:
			if o.err != nil {
				refused = o.err
			}
			results[o.index] = result{position{o.pos.Offset, o.pos.Epoch}, failureOf(o.err)}
		case <-ctx.Done():
			a.log.Warn("the broker has not answered a backend's publish in time", "rooms", len(rooms))
			return results
		}
	}
	if refused != nil && !errors.Is(refused, fanout.ErrBusy) {
		a.log.Warn("the broker has refused a backend's publish", "rooms", len(rooms), "error", refused)
	}
	return results
}

// noAnswer stands for a publication of which the broker has said nothing in time.
var noAnswer = failure{status: http.StatusServiceUnavailable, code: "unavailable",
	message: "the broker has not answered in time: the publication may still be delivered"}

// failureOf is what a backend is told of a broker's error, whose own text may name addresses.
func failureOf(err error) *failure {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fanout.ErrBusy):
		return unavailable("the broker is busy: nothing was published", retrySoon)
	}
	return unavailable("the broker did not take it: nothing was published", retrySoon)
}
