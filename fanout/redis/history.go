package redis

// What rooms keep: questions to it, and their answers. They travel on the connection that publications come in on, so
// that an answer is behind every publication that Redis sent before it.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// errAnswer means that Redis answered what our script never says.
var errAnswer = errors.New("redis answers what is no page of a history")

// History implements [fanout.History]. It fails with ErrDown while Redis can't be reached, and with ErrBusy when too
// many questions wait.
func (b *Broker) History(room string, q fanout.Query, done func(fanout.Page, error)) {
	kept := b.options.Retention(room)
	if err := b.check(); err != nil {
		done(fanout.Page{}, err)
		return
	}
	if kept.Size <= 0 {
		done(fanout.Page{}, fanout.ErrNoHistory)
		return
	}
	b.request(request{kind: historyRequest, index: b.layout.Part(room), room: room, query: q, kept: kept, answer: done})
}

// asking returns the keys and arguments of the history script.
func (b *Broker) asking(room string, kept fanout.Retention, q fanout.Query, line *line) (keys, args []string) {
	epoch := ""
	if q.HasSince {
		// An epoch that nobody has finds nothing, as it should; the script takes an empty one for no epoch at all.
		if epoch = q.Since.Epoch; epoch == "" {
			epoch = ":"
		}
	}
	return b.layout.historyKeys(room),
		[]string{milliseconds(positionTTL(kept)), line.run, line.whole, b.epochs.next(), epoch, strconv.FormatUint(q.Since.Offset, 10),
			strconv.Itoa(max(0, q.Limit)), strconv.Itoa(max(0, q.Bytes))}
}

// queries asks the questions of a batch.
func (l *link) queries(line *line, batch []request) {
	var commands []rueidis.Completed
	var asked []*request
	for i := range batch {
		if r := &batch[i]; r.kind == historyRequest {
			keys, args := l.b.asking(r.room, r.kept, r.query, line)
			commands = append(commands, historyScript.called(line.subscriber.B(), keys, args...))
			asked = append(asked, r)
		}
	}
	for i, answer := range line.subscriber.DoMulti(context.Background(), commands...) {
		r := asked[i]
		page, err := l.page(r.room, r.query, answer)
		if unknown(err) {
			page, err = l.ask(line, r.room, r.query)
		}
		if err != nil {
			l.b.suspect(line, err)
			r.answer(fanout.Page{}, l.b.lostAsking("reading a history", err))
			continue
		}
		r.answer(page, nil)
	}
}

// ask asks one question by the script's text, for a server that has forgotten it.
func (l *link) ask(line *line, room string, q fanout.Query) (fanout.Page, error) {
	keys, args := l.b.asking(room, l.b.options.Retention(room), q, line)
	return l.page(room, q, line.subscriber.Do(context.Background(), historyScript.whole(line.subscriber.B(), keys, args...)))
}

// page reads an answer. What is damaged is left out, and the page then is not complete.
func (l *link) page(room string, q fanout.Query, answer rueidis.RedisResult) (fanout.Page, error) {
	parts, err := answer.ToArray()
	if err != nil {
		return fanout.Page{}, err
	}
	if len(parts) != 4 {
		return fanout.Page{}, errAnswer
	}
	epoch, _ := parts[0].ToString()
	digits, _ := parts[1].ToString()
	text, _ := parts[2].ToString()
	entries, _ := parts[3].ToArray()
	offset, err := strconv.ParseUint(digits, 10, 64)
	jumps, ok := parseJumps(text)
	if err != nil || !ok || epoch == "" || len(entries)%2 != 0 {
		return fanout.Page{}, errAnswer
	}
	page := fanout.Page{Position: fanout.Position{Epoch: epoch, Offset: offset}, Base: jumps.base()}
	for i := 0; i < len(entries); i += 2 {
		p, err := keptPublication(room, epoch, entries[i], entries[i+1])
		if err != nil {
			l.b.drop(&l.b.counters.damaged, "what is kept of a room is no publication", room, err)
			continue
		}
		page.Publications = append(page.Publications, p)
	}
	switch {
	case !q.HasSince:
		slices.Reverse(page.Publications)
	case q.Since.Epoch == epoch:
		jumps.complete(&page, q.Since.Offset)
	}
	page.Publications = slices.DeleteFunc(page.Publications, lostForGood)
	return page, nil
}

func keptPublication(room, epoch string, id, envelope rueidis.RedisMessage) (p fanout.Publication, err error) {
	text, _ := id.ToString()
	digits, _, _ := strings.Cut(text, "-")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return p, fmt.Errorf("its id is not a position: %w", err)
	}
	bytes, err := envelope.AsBytes()
	if err != nil {
		return p, fmt.Errorf("reading its envelope: %w", err)
	}
	if err := fanout.DecodeEnvelope(room, slices.Clone(bytes), &p); err != nil {
		return p, fmt.Errorf("reading its envelope: %w", err)
	}
	p.Position = fanout.Position{Epoch: epoch, Offset: offset}
	return p, nil
}
