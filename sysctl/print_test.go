package sysctl

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPrint(t *testing.T) {
	f := Read(plant(t, tuned()), properProcess)
	target := proper
	target.Connections, target.PerSecond = 1_000_000, 0
	for _, kind := range PrintKinds() {
		var text bytes.Buffer
		if err := Print(&text, kind, f, target); err != nil {
			t.Fatal(err)
		}
		golden(t, "print-"+string(kind)+".txt", text.String())
	}
	if err := Print(&bytes.Buffer{}, "everything", f, target); err == nil || !strings.Contains(err.Error(), "write sysctl, limits or systemd") {
		t.Errorf("%v", err)
	}
}

// TestPrintedFilesAgree: a unit that asks for more descriptors than fs.nr_open does not start.
func TestPrintedFilesAgree(t *testing.T) {
	for _, connections := range []int{1, 1000, 100_000, 1_000_000, 3_000_000, MostConnections} {
		for _, role := range Roles() {
			var parameters, unit bytes.Buffer
			target := Target{Connections: connections, Role: role}
			f := Read(plant(t, tuned()), properProcess)
			if err := errors.Join(Print(&parameters, PrintSysctl, f, target), Print(&unit, PrintSystemd, f, target)); err != nil {
				t.Fatal(err)
			}
			limit, most := uint64(0), uint64(0)
			for key, value := range assignments(unit.String()) {
				if key == "LimitNOFILE" {
					limit = parseFigure(value).Value
				}
			}
			for key, value := range assignments(parameters.String()) {
				if key == "fs.nr_open" {
					most = parseFigure(value).Value
				}
			}
			if limit < uint64(connections) || most < limit {
				t.Errorf("%d on a %s: the unit asks for %d, fs.nr_open is to be %d", connections, role, limit, most)
			}
		}
	}
}

// TestPrintedUnit has systemd read the lines, as a drop-in of a unit.
func TestPrintedUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	lines, err := os.ReadFile("testdata/print-systemd.txt")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "roost-test.service")
	if err := os.WriteFile(unit, append([]byte("[Unit]\nDescription=test\n[Service]\nExecStart=/bin/true\n"), lines...), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "roost-test.service:") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLivePrintedParameters has sysctl(8) read the printed lines of a network namespace, in one.
func TestLivePrintedParameters(t *testing.T) {
	program, err := exec.LookPath("sysctl")
	if err != nil {
		t.Skip("sysctl(8) is not installed")
	}
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	lines, err := os.ReadFile("testdata/print-sysctl.txt")
	if err != nil {
		t.Fatal(err)
	}
	kernel, file, wanted := tree("/"), filepath.Join(t.TempDir(), "99-roost.conf"), map[string]string{}
	var ours strings.Builder
	for key, value := range assignments(string(lines)) {
		// What is not there belongs to the machine, and what may not be written too.
		if strings.HasPrefix(key, "net.") && kernel.refusal(sysctlPath(key)) == "" {
			ours.WriteString(key + " = " + value + "\n")
			wanted[key] = value
		}
	}
	if err := os.WriteFile(file, []byte(ours.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-p", file).CombinedOutput(); err != nil || len(wanted) < 10 {
		t.Fatalf("%d lines: %v\n%s", len(wanted), err, out)
	}
	for key, value := range wanted {
		if now, _ := kernel.read(sysctlPath(key)); normal(now) != value {
			t.Errorf("%s is %q, want %q", key, normal(now), value)
		}
	}
}
