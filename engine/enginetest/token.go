package enginetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// This file mints the tokens that tests show to a server.

// Secret is the HS256 key of every token minted here. A server under test is configured with it.
const Secret = "enginetest-hs256-secret-not-for-production"

// Token mints an HS256 token for user that ends after ttl (a negative ttl gives an expired one). rooms are
// the patterns of the rooms claim; with none there is no such claim. It does not block.
func Token(tb testing.TB, user string, ttl time.Duration, rooms ...string) string {
	tb.Helper()
	token, err := mint(user, ttl, rooms)
	if err != nil {
		tb.Fatalf("mint a token: %v", err)
	}
	return token
}

// TokenClaims mints an HS256 token with exactly these claims, for the cases that [Token] keeps out.
func TokenClaims(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	token, err := sign(claims)
	if err != nil {
		tb.Fatalf("mint a token: %v", err)
	}
	return token
}

func mint(user string, ttl time.Duration, rooms []string) (string, error) {
	claims := map[string]any{"sub": user, "exp": time.Now().Add(ttl).Unix()}
	if len(rooms) > 0 {
		claims["rooms"] = rooms
	}
	return sign(claims)
}

func sign(claims map[string]any) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims)).SignedString([]byte(Secret))
}

// readTokens reads a file with a token in each line, at least n of them.
func readTokens(name string, n int) ([]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	tokens := strings.Fields(string(text))
	if len(tokens) < n {
		return nil, fmt.Errorf("read tokens: %d for %d connections", len(tokens), n)
	}
	return tokens, nil
}
