# What a contributor types. Every line calls go or a script in .ci/, which say why they do what they do.
.DEFAULT_GOAL := build
.PHONY: run build install test test-short race fuzz lint bench check

# How long each fuzz target runs.
FUZZTIME ?= 5s

run: ## a node to try things on: no tokens, loopback only
	go run ./cmd/roost serve --dev

build:
	CGO_ENABLED=0 go build -trimpath -o bin/roost ./cmd/roost

install: ## what the suite needs beside Go
	.ci/install

test: ## everything; begins with install and lint
	.ci/test

test-short: ## under two minutes, nothing but Go
	go test -short ./...

race: install
	go test -race -tags loopcheck -timeout 20m ./...

fuzz:
	FUZZTIME=$(FUZZTIME) .ci/fuzz

lint:
	.ci/lint

bench: ## what a change costs on this machine, against what was recorded before; wants a quiet one
	.ci/bench

check: test ## lint and all tests
