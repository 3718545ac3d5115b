// Which key somebody meant who wrote one that does not exist.

package config

import "strings"

// nearest returns the candidate that name most likely meant; "" without candidates. Besides typing errors it
// knows two other slips: a section left out, and a name broken off.
func nearest(name string, candidates []string) string {
	best, least := "", int(^uint(0)>>1)
	name = strings.ToLower(name)
	if len(name) > 200 {
		name = name[:200] // the distance costs the product of both lengths
	}
	for _, c := range candidates {
		d := distance(name, strings.ToLower(c))
		if _, leaf, ok := strings.Cut(c, "."); ok {
			d = min(d, distance(name, strings.ToLower(leaf))+1)
		}
		if len(name) > 2 && strings.HasPrefix(c, name) {
			d = min(d, 3)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
