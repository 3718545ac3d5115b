package engine

// freelist lends values of one type within a loop. It keeps a bounded number of them; a burst's rest goes to the
// collector. Whoever puts one back has emptied it, but may leave capacity in it for the next.
type freelist[T any] struct {
	free []*T
	lent int
}

// maxFree is how many unused values a freelist keeps.
const maxFree = 256

func (f *freelist[T]) get() *T {
	f.lent++
	if n := len(f.free); n > 0 {
		x := f.free[n-1]
		f.free = f.free[:n-1]
		return x
	}
	return new(T)
}

func (f *freelist[T]) put(x *T) {
	f.lent--
	if len(f.free) < maxFree {
		f.free = append(f.free, x)
	}
}
