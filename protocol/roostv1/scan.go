package roostv1

// This file is the thin layer over the JSON tokeniser: members of an object, text of a string, depth.
//
// jsontext does the tokenising because it is strict, is maintained beside encoding/json/v2, hands out raw values
// and can be reused: a publish of 150 bytes takes about 0.8 microseconds without an allocation. It has no
// setting for the depth of nesting, hence deeperThan.

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotObject = errors.New("not an object")
	errTrailing  = errors.New("bytes after the object")
)

// eachMember calls member for each member of the object that text consists of. name is only good during the call,
// value is a slice of text. The error tells what is wrong with text; members before that place have been seen.
func (c *Codec) eachMember(text []byte, member func(name []byte, value jsontext.Value)) error {
	c.input = *bytes.NewBuffer(text)
	c.decoder.Reset(&c.input, c.options...)
	first, err := c.decoder.ReadToken()
	if err != nil {
		return err
	}
	if first.Kind() != jsontext.KindBeginObject {
		return c.notObject(text)
	}
	next := c.decoder.PeekKind()
	for next == jsontext.KindString {
		name, err := c.decoder.ReadValue()
		if err != nil {
			return err
		}
		// The name's own slice is only promised until the next read, a slice of text stays.
		nameEnd := int(c.decoder.InputOffset())
		name = text[nameEnd-len(name) : nameEnd]
		value, err := c.decoder.ReadValue()
		if err != nil {
			return err
		}
		end := int(c.decoder.InputOffset())
		// Only what follows shows where a value ends: 0 is not the value of 01.
		if next = c.decoder.PeekKind(); next != jsontext.KindInvalid {
			member(c.text(name), text[end-len(value):end:end])
		}
	}
	if _, err := c.decoder.ReadToken(); err != nil {
		return err // what PeekKind saw is neither a name nor the object's end
	}
	return c.atEnd()
}

// notObject tells text that is some other JSON value, whose first token was read, from text that is no JSON.
func (c *Codec) notObject(text []byte) error {
	c.input = *bytes.NewBuffer(text)
	c.decoder.Reset(&c.input, c.options...)
	if _, err := c.decoder.ReadValue(); err != nil {
		return err
	}
	if err := c.atEnd(); err != nil {
		return err
	}
	return errNotObject
}

// atEnd reports an error unless only white space is left.
func (c *Codec) atEnd() error {
	switch _, err := c.decoder.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return errTrailing
	default:
		return err
	}
}

// text is what the valid JSON string quoted stands for: a slice of it if it has no escapes, else of the scratch.
func (c *Codec) text(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1 : len(quoted)-1]
	}
	start := len(c.scratch)
	// The only error here is about a lone surrogate, which becomes U+FFFD: legal nowhere but in data, ids and
	// names that mean nothing to us, so whoever reads the text next refuses it.
	c.scratch, _ = jsontext.AppendUnquote(c.scratch, quoted)
	return c.scratch[start:len(c.scratch):len(c.scratch)]
}

// legalID reports whether id, a JSON value or nil, may be a command's id.
func legalID(id jsontext.Value) bool {
	switch id.Kind() {
	case jsontext.KindString, jsontext.KindNumber:
		return len(id) <= maxIDBytes
	}
	return false
}

// deeperThan reports whether objects and arrays in text are nested more than limit levels deep. For text that is
// no JSON the answer may be either. It exists because the tokeniser recurses, and would do so 10000 levels deep.
func deeperThan(limit int, text []byte) bool {
	// Few opening brackets can't nest deeply. Counting them is so fast that ordinary messages pay nothing more.
	if bytes.Count(text, []byte{'['})+bytes.Count(text, []byte{'{'}) <= limit {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case inString && b == '\\':
			i++ // the escaped byte can't end the string
		case b == '"':
			inString = !inString
		case inString:
		case b == '[' || b == '{':
			if depth++; depth > limit {
				return true
			}
		case b == ']' || b == '}':
			depth--
		}
	}
	return false
}
