# Reads go test -v, where a package's output comes whole and ends with a line of its own, and exits as go test did.

function forget() {
	n = 0
	skips = 0
	test = ""
	delete reason
}

# Of a failure, what was said and under which test, without the tests that had nothing to say.
function tell(  i, heading) {
	for (i = 0; i < n; i++) {
		if (lines[i] ~ /^=== /) {
			heading = lines[i]
		} else if (lines[i] !~ /^ *--- PASS: /) {
			if (heading != "" && lines[i] !~ /^ *--- /) print heading
			heading = ""
			print lines[i]
		}
	}
	forget()
}

/^gotest exit [0-9]+$/ {
	status = $3
	next
}

{ lines[n++] = $0 }

# A reason stands where its test spoke, which is above and perhaps far from the line that says "skipped".
/^=== / { test = $3 }
/^ +[^ ]+\.go:[0-9]+: / { reason[test] = $0 }
/^ *--- SKIP: / {
	why = reason[$3]
	sub(/^ */, "", why)
	skipped[skips++] = "skipped: " $3 ": " why
}

/^(ok|\?) +\t/ {
	print
	for (i = 0; i < skips; i++) print "  " skipped[i]
	total += skips
	forget()
}

/^FAIL\t/ { tell() }

END {
	if (status != 0) tell()
	if (total > 0) print total " tests skipped"
	exit status
}
