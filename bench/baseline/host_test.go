package baseline

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// hosted runs Host with pipes in place of a process's.
func hosted(t *testing.T, serve func(ctx context.Context, ready func(string)) error) (stdin io.Closer, lines *bufio.Scanner, done chan error) {
	t.Helper()
	in, stdinEnd := io.Pipe()
	stdout, out := io.Pipe()
	done = make(chan error, 1)
	go func() { done <- Host(in, out, serve) }()
	t.Cleanup(func() { _ = stdinEnd.Close(); _ = stdout.Close() })
	return stdinEnd, bufio.NewScanner(stdout), done
}

func untilAsked(ctx context.Context, ready func(string)) error {
	ready("127.0.0.1:1")
	<-ctx.Done()
	return nil
}

func expectLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	if !lines.Scan() || lines.Text() != want {
		t.Fatalf("got line %q, want %q", lines.Text(), want)
	}
}

func expectEnd(t *testing.T, done chan error, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
}

func TestHostEndsWithInput(t *testing.T) {
	stdin, lines, done := hosted(t, untilAsked)
	expectLine(t, lines, "listening 127.0.0.1:1")
	_ = stdin.Close()
	expectEnd(t, done, nil)
}

func TestHostSignals(t *testing.T) {
	_, lines, done := hosted(t, untilAsked)
	expectLine(t, lines, "listening 127.0.0.1:1")
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		expectLine(t, lines, "collected")
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, done, nil)
}

func TestHostPassesErrorsOn(t *testing.T) {
	_, _, done := hosted(t, func(context.Context, func(string)) error { return io.ErrUnexpectedEOF })
	expectEnd(t, done, io.ErrUnexpectedEOF)
}

// TestHostWithoutReader is about a parent that is gone.
func TestHostWithoutReader(t *testing.T) {
	in, stdinEnd := io.Pipe()
	defer stdinEnd.Close()
	stdout, out := io.Pipe()
	_ = stdout.Close()
	done := make(chan error, 1)
	go func() { done <- Host(in, out, untilAsked) }()
	expectEnd(t, done, nil)
}
