// Package index is what can be asked of recordings without reading them: which sessions there are, and which of their
// statements were refused, held, or did more than read.
//
// It owns the Store interface, what is worth a row (Tally) and the conformance suite (indextest). It refuses to know how
// recordings are kept: the index is a projection, filled by extproc/record, never believed against a chunk, and made
// again from the chunks when it is lost. Drivers (sqlite) know nothing of each other.
package index
