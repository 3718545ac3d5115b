package report

import (
	"math"
	"testing"
)

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{531, "B", "531 B"},
		{1023, "B", "1023 B"},
		{1024, "B", "1 KiB"},
		{4199, "B", "4.1 KiB"},
		{4.63e9, "B", "4.31 GiB"},
		{-2048, "B", "-2 KiB"},
		{3000, "B/s", "2.93 KiB/s"},
		{3000, "Bananas", "3 k Bananas"},
		{1.32e6, "/s", "1.32 M/s"},
		{531, "/s", "531/s"},
		{999.4, "/s", "999/s"},
		{999.6, "/s", "1 k/s"},
		{999700, "/s", "1 M/s"},
		{38900, "/CPU s", "38.9 k/CPU s"},
		{0.081, "ms", "81 µs"},
		{0.0005, "ms", "500 ns"},
		{0.99996, "ms", "1 ms"},
		{1500, "ms", "1.5 s"},
		{90, "s", "90 s"},
		{1.88, "s", "1.88 s"},
		{250, "us", "250 µs"},
		{1e6, "ns", "1 ms"},
		{0, "ms", "0 ms"},
		{0, "B", "0 B"},
		{18000, "members", "18 k members"},
		{9.1, "", "9.1"},
		{18000, "", "18 k"},
		{98.76, "%", "98.8 %"},
		{12345, "%", "12345 %"},
		{1.126, "×", "1.13 ×"},
		{0.0123, "", "0.0123"},
		{1e-12, "", "1e-12"},
		{math.Inf(1), "/s", "+Inf G/s"},
	} {
		if got := quantity(c.value, c.unit); got != c.want {
			t.Errorf("%v in %q is written %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestShare(t *testing.T) {
	for part, want := range map[float64]string{0: "0 %", 0.006: "1 %", 0.975: "98 %", 1.02: "102 %"} {
		if got := share(part); got != want {
			t.Errorf("%v is written %q, want %q", part, got, want)
		}
	}
}
