// Package record keeps what happened in each session so that it can be proven untouched.
//
// It owns the Recorder: sessions and their events, chunks and when they are sealed, bounded memory and back-pressure,
// recovery after a kill -9, reading back (Recorder.Events, Reader), how hidden values are written (Hider), and that
// nothing goes on when it cannot record. What is no UTF-8 stands escaped. It refuses to know protocols: an event's bytes are opaque, and masking is done
// before they come here.
//
//	Session.Append, Data ─▶ journal (write; fdatasync if durable, else within 50 ms)   extproc/record/journal
//	          │ 1 MiB, 1 s after the first byte, or the end
//	          ▼
//	bounded queue ─▶ sealing workers ─▶ chunks/SESSION/N.chunk                         extproc/record/chunk
//	                         ├──▶ leaf of the log (never awaited here)                 extproc/record/translog
//	                         └──▶ index, a projection                                  extproc/record/index
//
// The journal lets go of a chunk when its leaf is in the log, so what is sealed but not logged survives too. Checking
// a directory for damage is extproc/record/audit's.
package record
