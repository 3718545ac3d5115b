// The check: facts and a target in, a report out, and nothing else read or kept.

package sysctl

// Row is a knob with what a check says about it.
type Row struct {
	ID      string  `json:"id"`
	Key     string  `json:"key,omitempty"`
	Verdict Verdict `json:"verdict"`
	Have    string  `json:"have,omitempty"`
	Need    string  `json:"need,omitempty"`
	Because string  `json:"because,omitempty"`
	Formula string  `json:"formula"`
	Why     string  `json:"why"`
	Risk    string  `json:"risk"`
	// Fix says how it is set for good; empty in rows that pass.
	Fix string `json:"fix,omitempty"`
}

// Report is what a check came to.
type Report struct {
	Target Target `json:"target"`
	// Verdict is the worst of all rows, where skipping is no worse than passing.
	Verdict Verdict `json:"verdict"`
	// Stops are what ends the connections, the lowest number first.
	Stops  []Stop `json:"stops"`
	Memory Memory `json:"memory"`
	// Rows are in the order of the catalogue.
	Rows []Row `json:"rows"`
}

// Memory is what the target's connections take, idle, in bytes.
type Memory struct {
	// Base is the process before its first connection, User what the connections add to it, Kernel what the kernel
	// holds for them.
	Base   float64 `json:"base"`
	User   float64 `json:"user"`
	Kernel float64 `json:"kernel"`
	// UserEach and KernelEach are of one connection.
	UserEach   float64 `json:"user_each"`
	KernelEach float64 `json:"kernel_each"`
}

// Check judges every knob. It only computes: the same facts and target give the same report.
func Check(f *Facts, target Target) *Report {
	t := target.withDefaults()
	r := &Report{Target: t, Stops: Forecast(f, target), Memory: memoryOf(f, &t)}
	for i := range catalogue {
		k := &catalogue[i]
		found := k.judge(f, &t)
		row := Row{ID: k.ID, Verdict: found.Verdict, Have: found.Have, Need: found.Need, Because: found.Because,
			Formula: k.Needed, Why: k.Why, Risk: k.Risk}
		if len(k.Keys) > 0 {
			row.Key = k.Keys[0]
		}
		if found.Verdict >= Warn {
			row.Fix = k.fix(f, &t)
		}
		if found.Verdict != Skip {
			r.Verdict = max(r.Verdict, found.Verdict)
		}
		r.Rows = append(r.Rows, row)
	}
	return r
}

// fix says how a knob is put right for good.
func (k *Knob) fix(f *Facts, t *Target) string {
	if k.ForGood != "" {
		return k.ForGood
	}
	return "roost tune apply --yes writes " + k.lines(f, t)
}

func memoryOf(f *Facts, t *Target) Memory {
	m := Memory{Base: costs[t.Role].base, UserEach: t.UserBytes, KernelEach: f.each(t) - t.UserBytes}
	m.User, m.Kernel = m.UserEach*float64(t.n()), m.KernelEach*float64(t.n())
	return m
}

// Count is how many rows have each verdict.
func (r *Report) Count() map[Verdict]int {
	n := map[Verdict]int{}
	for i := range r.Rows {
		n[r.Rows[i].Verdict]++
	}
	return n
}
