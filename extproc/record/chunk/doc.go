// Package chunk is the file format of a recording: a session is a row of chunks, each one file that never changes.
//
//	chunks/SESSION/00000000.chunk = zstd( size-delimited ChunkHeader, then size-delimited Events )
//
// It owns the bytes of a chunk, the names of the files and how one is put in place (temporary file, fsync, rename,
// fsync of the directory). It refuses to know when a chunk is sealed, what its digest is for, and what the events say.
package chunk
