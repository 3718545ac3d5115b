// roost token: development tokens made, and any token taken apart. Neither prints a token but the one it makes.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine/auth"
)

func newToken() *cobra.Command {
	token := group(&cobra.Command{
		Use:     "token",
		Short:   "Makes development tokens, and says why a token would be refused",
		Example: "  roost token mint --secret-file secret --user alice --rooms 'chat.**' | roost token explain --secret-file secret",
	})
	token.AddCommand(newMint(), newExplain())
	return token
}

// authFlags gives c --config, --secret-file and flags for the named settings. --secret-file is another name for
// --auth.hmac_secret_file, which a command that needs little else deserves. All settings are loaded all the same;
// those without a flag of c can be set on the flag set that is returned.
func authFlags(c *cobra.Command, names ...string) (*config.Flags, *pflag.FlagSet) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags := config.BindFlags(all)
	secret := *all.Lookup("auth.hmac_secret_file")
	secret.Name, secret.Usage = "secret-file", "file that holds the shared secret, in place of auth.hmac_secret_file"
	c.Flags().AddFlag(&secret)
	for _, name := range append(names, "config") {
		c.Flags().AddFlag(all.Lookup(name))
	}
	return flags, all
}

// mint is what the flags of `roost token mint` say.
type mint struct {
	user           string
	rooms          []string
	roomsRead      []string
	ttl            time.Duration
	privateKeyFile string
}

func newMint() *cobra.Command {
	c := &cobra.Command{
		Use:   "mint",
		Short: "Makes a token for trying things out and prints it",
		Long: "Signs a token with the secret of the configuration, with --secret-file, or with --private-key-file, and\n" +
			"prints it and nothing else. Issuer, audience and algorithm follow the configuration where it sets them; with\n" +
			"auth.issuers, --auth.issuer says whose token it is.",
		Example: "  openssl rand -hex 32 > secret\n" +
			"  roost token mint --secret-file secret --user alice --rooms 'chat.**' --rooms-read news --ttl 1h",
		Args: noArguments,
	}
	var m mint
	c.Flags().SortFlags = false
	c.Flags().StringVar(&m.user, "user", "", "who the token is for, its sub claim")
	c.Flags().StringSliceVar(&m.rooms, "rooms", nil, "rooms to join and publish in: names, chat.*, or chat.**; none without this flag")
	c.Flags().StringSliceVar(&m.roomsRead, "rooms-read", nil, "rooms to join alone")
	c.Flags().DurationVar(&m.ttl, "ttl", time.Hour, "how long the token is valid; below zero makes one that has expired")
	c.Flags().StringVar(&m.privateKeyFile, "private-key-file", "", "PEM file with the private key of RS256, PS256, ES256 or EdDSA tokens")
	flags, settings := authFlags(c, "auth.hmac_secret", "auth.algorithms", "auth.issuer", "auth.audience", "auth.issuers")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if m.user == "" {
			return errors.New("--user is missing; write who the token is for, as in: --user alice")
		}
		if m.privateKeyFile != "" && c.Flags().Changed("secret-file") {
			return errors.New("--secret-file and --private-key-file exclude each other; keep one of them")
		}
		// A key to check tokens with is not needed to make one.
		if err := settings.Set("auth.mode", config.AuthAnonymous); err != nil {
			return err
		}
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		token, err := m.token(&loaded.Config.Auth, time.Now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), token)
		return failedIf(err)
	}
	return c
}

// issuerOf is for whom a token is signed: the entry of auth.issuers that auth.issuer names, or the only one; without
// that list, what stands in auth. What auth says beside the list comes from flags, and they win.
func issuerOf(a *config.Auth) (config.Signer, error) {
	if len(a.Issuers) == 0 {
		return a.Signer, nil
	}
	names := make([]string, len(a.Issuers))
	for i := range a.Issuers {
		names[i] = a.Issuers[i].Issuer
	}
	i := slices.Index(names, a.Issuer)
	if a.Issuer == "" && len(names) == 1 {
		i = 0
	}
	if i < 0 {
		return config.Signer{}, fmt.Errorf("auth.issuers has %d entries; write --auth.issuer with one of %s", len(names), strings.Join(names, ", "))
	}
	s := a.Issuers[i]
	s.HMACSecret, s.Audience = cmp.Or(a.HMACSecret, s.HMACSecret), cmp.Or(a.Audience, s.Audience)
	if len(a.Algorithms) > 0 {
		s.Algorithms = a.Algorithms
	}
	return s, nil
}

// token signs what m says by the key that m names, else by that of the configuration.
func (m *mint) token(settings *config.Auth, now time.Time) (string, error) {
	a, err := issuerOf(settings)
	if err != nil {
		return "", err
	}
	signer := auth.Mint{HMACSecret: []byte(a.HMACSecret)}
	if m.privateKeyFile != "" {
		pem, err := os.ReadFile(m.privateKeyFile)
		if err != nil {
			return "", fmt.Errorf("--private-key-file: %w; write the path of a PEM file", err)
		}
		signer = auth.Mint{PrivateKeyPEM: pem}
	} else if a.HMACSecret == "" {
		return "", errors.New("there is no key to sign with; write --secret-file, --private-key-file, or a --config that sets auth.hmac_secret_file")
	}
	claims := auth.Claims{
		User: m.user, Rooms: m.rooms, RoomsRead: m.roomsRead,
		Issuer: a.Issuer, Audience: a.Audience, ExpiresAt: now.Add(m.ttl),
	}
	// The first of the allowed algorithms that suits the key; without a list, the usual one of the key.
	token := ""
	for _, algorithm := range allowed(a.Algorithms) {
		signer.Algorithm = algorithm
		if token, err = signer.Token(claims); err == nil {
			return token, nil
		}
	}
	return "", fmt.Errorf("token mint: %w", err)
}

func allowed(algorithms []string) []string {
	if len(algorithms) == 0 {
		return []string{""}
	}
	return algorithms
}

func newExplain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain [token | -]",
		Short: "Takes a token apart and says whether it would be accepted, and if not, why",
		Long: "Reads a token from its argument or, better, since arguments show in the list of processes, from standard\n" +
			"input, and checks it as a node with this configuration would; keys of auth.jwks_url are fetched for that. The\n" +
			"exit code is 0 if it would be accepted and 1 if not. The token itself is not printed.",
		Example: "  roost token mint --secret-file secret --user alice | roost token explain --secret-file secret",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s takes one token; if yours has blanks in it, they do not belong there", c.CommandPath())
			}
			return nil
		},
	}
	c.Flags().SortFlags = false
	flags, _ := authFlags(c, "auth.mode", "auth.hmac_secret", "auth.public_key_file", "auth.jwks_url",
		"auth.algorithms", "auth.issuer", "auth.audience", "auth.issuers", "auth.leeway")
	c.RunE = func(c *cobra.Command, args []string) error {
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		if loaded.Config.Auth.Mode == config.AuthAnonymous {
			return errors.New("auth.mode: anonymous accepts everybody and looks at no token; write --auth.mode jwt")
		}
		sets := &keySets{log: quiet} // the verdict says how they stand
		verifier, err := newVerifier(&loaded.Config.Auth, sets)
		if err != nil {
			return err
		}
		token := ""
		if len(args) == 1 && args[0] != "-" {
			token = args[0]
		} else if token, err = readToken(c.InOrStdin()); err != nil {
			return err
		}
		defer sets.close()
		sets.start(explainPatience, nil)
		e := verifier.Explain(token)
		if _, err := fmt.Fprint(c.OutOrStdout(), e); err != nil {
			return failed(err)
		}
		if e.Refusal != 0 {
			return &exitError{code: exitFailed}
		}
		return nil
	}
	return c
}

// explainPatience is how long the fetching of keys may take: a little more than the 10 s in which an address has to
// answer, so that the verdict can say that it did not.
const explainPatience = 11 * time.Second

// maxTokenInput bounds what is read of standard input: far more than any token that could be used.
const maxTokenInput = 1 << 20

// readToken reads one token and drops the blanks around it, which come from echo and from copying.
func readToken(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTokenInput))
	if err != nil {
		return "", failed(fmt.Errorf("reading the token: %w", err))
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("standard input holds no token; pipe one in, or write it as the argument")
	}
	return token, nil
}
