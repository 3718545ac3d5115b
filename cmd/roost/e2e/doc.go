// Package e2e tests the roost program from outside: the real binary, started as an operator would, with clients
// that share no code with it, the npm package ws and a headless Chromium.
//
// The cases are written in JavaScript, in testdata/node, client and browser, because that is what clients are
// written in; the Go side builds the binary, starts one for each script with the settings that the script is
// about, and shows each case as a subtest. It holds nothing but tests and is imported by nobody. Under -short
// nothing runs; otherwise a missing program is a failure, because a suite that quietly does less is worth less
// than one that says so.
//
// ROOST_E2E_BINARY names a binary to test in place of a new one, for a release that was built elsewhere.
package e2e
