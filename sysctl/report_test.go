package sysctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "writes the golden files anew")

// golden holds text against a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is no longer what comes (go test ./sysctl -update writes it anew):\n%s", path, text)
	}
}

// TestReport is the whole report about the virtual machine, as people and as programs read it.
func TestReport(t *testing.T) {
	r := Check(Read(plant(t, virtualMachine()), Process{MaxProcs: known(2), PageSize: known(4096), MayRaise: known(0)}), Target{Connections: 1_000_000})
	var text, object bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&object)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", text.String())
	var back struct {
		Target  struct{ Connections, PerSecond int }
		Verdict string
		Stops   []Stop
		Memory  Memory
		Rows    []struct{ ID, Key, Verdict, Have, Need, Because, Formula, Why, Risk, Fix string }
	}
	d := json.NewDecoder(&object)
	if err := d.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.Verdict != "fail" || back.Target.Connections != 1_000_000 || len(back.Rows) != len(catalogue) || back.Memory != r.Memory ||
		back.Stops[0] != (Stop{CauseDescriptors, 19_744}) || back.Rows[0].Verdict != "fail" || back.Rows[0].Fix == "" {
		t.Errorf("%+v", back)
	}
}
