// Package journal is the write-ahead log of all open chunks of one process: what is in it survives a kill -9, what is
// synced survives a power cut.
//
//	journal/00000001.journal = records: head (32 bytes), payload; then zeros, while it is written
//
// Space is allocated ahead, and short records are copied into mapped memory: they cost no system call, and a full disk
// is known before they are written.
//
// It owns the bytes of a record, segments and their removal, group commit, and what each live session needs to be
// brought to an end by the next process: every segment begins with all sessions that are live, so old segments can go
// as soon as the chunks in them are sealed and logged. It refuses to know what an event says and how a chunk is sealed.
package journal
