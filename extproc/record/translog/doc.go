// Package translog is the transparency log of a recorder: one leaf a chunk, C2SP tlog-tiles in a local directory, signed
// checkpoints.
//
//	log/checkpoint, log/tile/…      what c2sp.org/tlog-tiles says; written by tessera's POSIX driver
//
// It owns the text of a leaf, the log's key, the check that a log which is opened is the one that was signed, and the
// order and number of leaves on their way. It refuses to know what a chunk holds and where its file is; checking a
// whole log for damage is extproc/record/audit's.
//
// Tessera does not refuse a second appender: whoever opens a Log holds the lock of its directory.
package translog
