// Package report writes what a comparison of servers came to, for people and for programs, and tells whether a
// later one came to less.
//
// One [bench.Report] becomes a page ([WriteHTML]: one file with everything in it, which fetches nothing), tables for
// a README ([WriteMarkdown]) and JSON ([WriteJSON], [ReadJSON]); [WriteFiles] writes all three. [Changes] holds a
// report against an earlier one of the same machine.
//
// It measures nothing, starts no server and opens no connection. A value that is marked as not to be used is shown
// with its mark wherever its place is, and never counts for a median, a chart, a ratio or a verdict.
//
// All functions may be called from any goroutine, as long as nobody changes the report meanwhile; they change it
// themselves never. They block for as long as their writer, reader or disk does. Texts in a report (names of
// servers, versions, marks) come from other programs and are treated as hostile in every format.
//
// Curves are drawn by uPlot, embedded as its npm package has it; assets/uplot/README.md says which and how it came here.
package report
